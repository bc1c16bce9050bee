# A static program in an otherwise empty image: no shell, no libraries, not root.
#   docker build -t dist-chat .
#   docker run -it --network host -v chat:/data dist-chat -l -a 192.168.1.20 -n ann
#   docker run -d -p 2428:2428 -v chat:/data dist-chat -na 192.168.1.20 -a 0.0.0.0 --advertise 192.168.1.21 -n bot --daemon
#   docker exec CONTAINER /dist-chat status
FROM rust:1-alpine AS build
# A C compiler, for SQLite.
RUN apk add --no-cache gcc musl-dev
WORKDIR /src
COPY Cargo.toml Cargo.lock ./
COPY src src
RUN cargo build --release --locked --bin dist-chat --config profile.release.strip=true \
    && mkdir -m 0700 -p /rootfs/data /rootfs/run/dist-chat \
    && mkdir -m 1777 /rootfs/tmp \
    && cp target/release/dist-chat /rootfs/dist-chat \
    && chown -R 65532:65532 /rootfs/data /rootfs/run/dist-chat

FROM scratch
COPY --from=build /rootfs /
USER 65532:65532
# Where the log and the history live, and the socket that `dist-chat status` asks.
ENV DIST_CHAT_DATA_DIR=/data XDG_RUNTIME_DIR=/run/dist-chat
WORKDIR /data
VOLUME /data
EXPOSE 2428
ENTRYPOINT ["/dist-chat"]
