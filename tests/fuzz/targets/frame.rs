//! Bytes from the network become frames, or an error: whatever they are.

use dist_chat::ring::Frame;
use dist_chat::ring::limits::FRAME_BYTES_MAX;

/// What decodes says the same when it is encoded and decoded again, and is not longer than a frame may be.
pub fn run(bytes: &[u8]) {
    let Ok(frame) = Frame::decode(bytes) else { return };
    there_and_back(&frame);
}

/// A frame that may leave is one that may arrive.
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
