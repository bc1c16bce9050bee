//! A generated key: 160 random bits, in a form that people can pass on.
//!
//! ```text
//!   7kq2-m4xd-0rva-p8tz-w3hn-c6je-y5bs-9gf1-e2dk     32 digits of base 32, and 4 check digits that detect typing errors
//! ```

use zeroize::Zeroizing;

use super::base32;
use super::room_key::{RoomKey, hash};

/// Random bytes in a key.
pub const KEY_BYTES: usize = 20;
/// Digits of a key, including the check digits.
const DIGITS: usize = KEY_BYTES * 8 / 5 + CHECK_DIGITS;
/// Check digits: 20 bits.
const CHECK_DIGITS: usize = 4;
/// Digits in a group.
const GROUP_DIGITS: usize = 4;
/// A text with so many hyphens, and nearly as many digits as a key, is a mistyped key and not a passphrase.
const HYPHENS_OF_A_KEY: usize = 6;
/// How many digits such a text may have too many or too few.
const DIGITS_ASTRAY: usize = 8;

/// A new key in the form for people.
///
/// # Errors
/// The system gives no random numbers.
pub fn fresh() -> anyhow::Result<Zeroizing<String>> {
    let mut bits = Zeroizing::new([0; KEY_BYTES]);
    getrandom::fill(&mut *bits).map_err(|error| anyhow::anyhow!("no random numbers: {error}"))?;
    Ok(written(&bits))
}

fn written(bits: &[u8; KEY_BYTES]) -> Zeroizing<String> {
    let mut digits = Zeroizing::new(String::with_capacity(2 * DIGITS));
    base32::push(&mut digits, bits);
    base32::push(&mut digits, &check(bits));
    // Three bytes give one digit more than the check has.
    digits.truncate(DIGITS);
    let mut text = Zeroizing::new(String::with_capacity(2 * DIGITS));
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && at % GROUP_DIGITS == 0 {
            text.push('-');
        }
        text.push(digit);
    }
    text
}

fn check(bits: &[u8]) -> [u8; 3] {
    hash("dist-chat room key check", bits)
}

/// Parses a key. `None`: the text does not have the shape of a key; `Some(None)`: it has, but is mistyped.
pub fn parse(text: &str) -> Option<Option<RoomKey>> {
    let digits = base32::digits(text)?;
    let hyphens = text.chars().filter(|c| *c == '-').count();
    match digits.len() {
        DIGITS => Some(key_of(&digits)),
        n if hyphens >= HYPHENS_OF_A_KEY && n.abs_diff(DIGITS) <= DIGITS_ASTRAY => Some(None),
        _ => None,
    }
}

/// Whether a text has the digits of a key, right or wrong.
pub fn has_shape(text: &str) -> bool {
    base32::digits(text).is_some_and(|digits| digits.len() == DIGITS)
}

fn key_of(digits: &[u8]) -> Option<RoomKey> {
    let bits = base32::of_digits(&digits[..DIGITS - CHECK_DIGITS])?;
    let mut checked = String::with_capacity(5);
    base32::push(&mut checked, &check(&bits));
    let right = base32::digits(&checked)?;
    (digits[DIGITS - CHECK_DIGITS..] == right[..CHECK_DIGITS])
        .then(|| RoomKey::new(hash("dist-chat room key", &bits), None))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

    use super::*;

    #[test]
    fn a_key_is_nine_groups_of_four_and_comes_back() {
        let key = fresh().unwrap();
        assert_eq!(key.split('-').map(str::len).collect::<Vec<_>>(), [4; 9]);
        assert_ne!(key, fresh().unwrap());
        assert!(parse(&key).unwrap().is_some());
        assert!(parse(&key).unwrap().unwrap().salt().is_none());
    }

    #[test]
    fn a_key_is_read_as_people_type_it() {
        let key = written(&[0x10; KEY_BYTES]);
        let wanted = parse(&key).unwrap().unwrap();
        for typed in [
            key.to_uppercase(),
            key.replace('-', ""),
            key.replace('-', " "),
            key.replace('0', "o"),
            key.replace('0', "O").replace('1', "l"),
            key.replace('1', "I"),
        ] {
            assert_eq!(parse(&typed), Some(Some(wanted.clone())), "{typed}");
        }
    }

    #[test]
    fn a_slip_is_found_out() {
        let key = written(&[0x5a; KEY_BYTES]);
        for at in (0..key.len()).filter(|at| key.as_bytes()[*at] != b'-') {
            let mut typed = key.as_bytes().to_vec();
            typed[at] = if typed[at] == b'7' { b'8' } else { b'7' };
            assert_eq!(parse(std::str::from_utf8(&typed).unwrap()), Some(None), "{at}");
        }
        assert_eq!(parse(&key[1..]), Some(None), "a digit is missing");
        assert_eq!(parse(&format!("{}0", *key)), Some(None), "one too many");
        assert_eq!(parse("correct horse battery staple"), None, "u is no digit");
        assert_eq!(parse("ten-lazy-cats-and-ten-small-mice"), None);
    }

    /// A written key must work with every later program.
    #[test]
    fn the_form_of_a_key_stays() {
        assert_eq!(*written(&[0; KEY_BYTES]), "0000-0000-0000-0000-0000-0000-0000-0000-sph2");
        let key = parse("0000-0000-0000-0000-0000-0000-0000-0000-sph2").unwrap().unwrap();
        assert_eq!(
            crate::ring::hex::text(key.psk()),
            "7d13253d3354b06d832127e4d1c66e25713c55001ee27d9e361ce03943e6069e"
        );
    }
}
