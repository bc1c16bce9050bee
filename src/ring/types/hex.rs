//! Bytes as hexadecimal digits.

/// Writes the digits of `bytes` into `into`, which has two places for each byte.
pub fn write<'a>(bytes: &[u8], into: &'a mut [u8]) -> &'a str {
    for (pair, byte) in into.chunks_exact_mut(2).zip(bytes) {
        pair[0] = b"0123456789abcdef"[usize::from(byte >> 4)];
        pair[1] = b"0123456789abcdef"[usize::from(byte & 15)];
    }
    str::from_utf8(into).unwrap_or_default()
}

/// The digits of `bytes`.
pub fn text(bytes: &[u8]) -> String {
    write(bytes, &mut vec![0; 2 * bytes.len()]).to_owned()
}

/// Exactly `N` bytes from their digits.
pub fn read<const N: usize>(digits: &str) -> Option<[u8; N]> {
    let digits = digits.as_bytes();
    if digits.len() != 2 * N {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = nibble(pair[0])? << 4 | nibble(pair[1])?;
    }
    Some(bytes)
}

/// All bytes of these digits, if the digits are complete and give at most `max` bytes.
pub fn read_at_most(digits: &str, max: usize) -> Option<Vec<u8>> {
    if digits.len() > 2 * max || !digits.len().is_multiple_of(2) {
        return None;
    }
    let mut bytes = Vec::with_capacity(digits.len() / 2);
    for pair in digits.as_bytes().chunks_exact(2) {
        bytes.push(nibble(pair[0])? << 4 | nibble(pair[1])?);
    }
    Some(bytes)
}

fn nibble(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_back_from_their_digits_and_nothing_else_does() {
        assert_eq!(text(&[0, 0x1f, 0xff]), "001fff");
        assert_eq!(read("001fFF"), Some([0, 0x1f, 0xff]));
        for bad in ["", "001f", "001fff0", "001ff-", "001ff\u{e9}", "+01fff"] {
            assert_eq!(read::<3>(bad), None, "{bad}");
        }
        assert_eq!(read_at_most("001fFF", 3), Some(vec![0, 0x1f, 0xff]));
        assert_eq!(read_at_most("", 3), Some(Vec::new()));
        for bad in ["001fff00", "001", "0x", "\u{e9}"] {
            assert_eq!(read_at_most(bad, 3), None, "{bad}");
        }
    }
}
