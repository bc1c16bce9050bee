//! Crockford's base 32: digits and letters that are hard to confuse; case does not matter.

use zeroize::Zeroizing;

const DIGITS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// Appends the digits of `bytes`; the last digit is padded with zero bits.
pub fn push(out: &mut String, bytes: &[u8]) {
    let (mut held, mut bits) = (0_u32, 0);
    for byte in bytes {
        held = held << 8 | u32::from(*byte);
        bits += 8;
        while bits >= 5 {
            bits -= 5;
            out.push(digit(held >> bits));
        }
        held &= (1 << bits) - 1;
    }
    if bits > 0 {
        out.push(digit(held << (5 - bits)));
    }
}

fn digit(value: u32) -> char {
    DIGITS[(value & 31) as usize].into()
}

/// The values of the digits; hyphens and white space are ignored. `None`: the text has another character.
pub fn digits(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    let mut values = Zeroizing::new(Vec::with_capacity(text.len()));
    for c in text.chars().filter(|c| *c != '-' && !c.is_whitespace()) {
        values.push(value(c)?);
    }
    Some(values)
}

/// The value of a digit. Letters that look like another digit count as that digit.
fn value(c: char) -> Option<u8> {
    let c = match u8::try_from(c.to_ascii_lowercase()).ok()? {
        b'o' => b'0',
        b'i' | b'l' => b'1',
        c => c,
    };
    DIGITS.iter().position(|digit| *digit == c).and_then(|at| u8::try_from(at).ok())
}

/// The bytes that [`push`] has encoded. `None`: `push` cannot have made this text.
pub fn bytes(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    of_digits(&digits(text)?)
}

/// The bytes of these digits.
pub fn of_digits(digits: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(digits.len() * 5 / 8));
    let (mut held, mut bits) = (0_u32, 0);
    for digit in digits {
        held = held << 5 | u32::from(*digit);
        bits += 5;
        if bits >= 8 {
            bits -= 8;
            bytes.push(u8::try_from(held >> bits & 255).ok()?);
        }
        held &= (1 << bits) - 1;
    }
    // Bytes have exactly one text: no extra digit, and zeros in the spare bits of the last one.
    (bits < 5 && held == 0).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_back() {
        for length in 0..40_u8 {
            let all: Vec<u8> = (0..length).map(|n| n.wrapping_mul(151) ^ 0xa5).collect();
            let mut text = String::new();
            push(&mut text, &all);
            assert_eq!(bytes(&text).as_deref(), Some(&all), "{text}");
            assert_eq!(bytes(&text.to_uppercase()).as_deref(), Some(&all), "{text}");
            text.push('0');
            assert_ne!(bytes(&text).as_deref(), Some(&all), "{text}");
        }
    }

    #[test]
    fn digits_that_look_alike_are_alike() {
        assert_eq!(digits("o0 O-iI\nlL1").as_deref(), Some(&vec![0, 0, 0, 1, 1, 1, 1, 1]));
        assert_eq!(digits("u"), None);
        assert_eq!(digits("é"), None);
    }
}
