//! Any bytes from the network decode to frames or to an error.

use dist_chat::ring::Frame;
use dist_chat::ring::limits::FRAME_BYTES_MAX;

/// A frame that decodes stays the same when the codec encodes and decodes it again, and keeps the limit of its length.
pub fn run(bytes: &[u8]) {
    let Ok(frame) = Frame::decode(bytes) else { return };
    there_and_back(&frame);
}

/// Every frame that a node may send is one that a node may receive.
pub fn there_and_back(frame: &Frame) {
    let mut bytes = Vec::new();
    frame.encode(&mut bytes);
    assert_eq!(bytes.iter().filter(|byte| **byte == b'\n').count(), 1, "a frame is one line");
    assert!(bytes.ends_with(b"\n"), "a frame is one line");
    assert!(bytes.len() <= FRAME_BYTES_MAX, "a frame of {} bytes", bytes.len());
    match Frame::decode(&bytes) {
        Ok(back) => assert_eq!(back, *frame, "a frame comes back as it was"),
        Err(error) => panic!("a frame does not come back: {error}: {}", String::from_utf8_lossy(&bytes)),
    }
}
