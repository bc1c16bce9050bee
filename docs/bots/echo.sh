#!/usr/bin/env bash
# Answers `!time` with the time and `!ping WORDS` with the words, in the lobby: a line of text does not say its channel.
# PORT is that of a node of yours that runs here: docs/bots/echo.sh 2428
set -u
port=${1:-2428}

# A line is `> NAME(IP:PORT)[TS]: text`: what follows the first `]: ` is the text, whatever it holds.
dist-chat tail -f -n 0 --channel lobby -p "$port" | while IFS= read -r line; do
    text=${line#*]: }
    case $text in
        '!time') answer=$(date '+%H:%M:%S %Z') ;;
        '!ping '*) answer="pong ${text#!ping }" ;;
        *) continue ;;
    esac
    # In an argument of its own the text is said as it is, quotes and all; from /dev/null, since the loop reads stdin.
    dist-chat send -p "$port" -m "$answer" </dev/null
done
