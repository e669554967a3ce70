//! One-time codes of RFC 6238, as authenticator apps make them: HMAC-SHA-1, six digits, 30 seconds.
//! Pure.

use coppice_clock::Wall;
use ring::hmac;

/// Seconds of a code.
const STEP: u64 = 30;
/// A code is accepted so many steps before and after its own: clocks differ, and people are slow.
const SLACK: u64 = 1;
const DIGITS: usize = 6;
/// Bytes of a secret, as RFC 4226 recommends.
pub(super) const SECRET_BYTES: usize = 20;

/// The number of the step at a time.
fn step_at(now: Wall) -> u64 {
    now.as_seconds().max(0).unsigned_abs() / STEP
}

/// The code of a step (RFC 4226, 5.3).
fn code(secret: &[u8], step: u64) -> String {
    // RFC 6238 leaves no choice that apps would understand; as a keyed hash, SHA-1 is not broken.
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret);
    let tag = hmac::sign(&key, &step.to_be_bytes());
    let tag = tag.as_ref();
    let offset = usize::from(tag.last().copied().unwrap_or_default() & 0xf);
    let chosen = tag.iter().skip(offset).take(4);
    let number = chosen.fold(0, |number, byte| (number << 8) | u32::from(*byte));
    let number = (number & 0x7fff_ffff) % 10_u32.pow(DIGITS as u32);
    format!("{number:0DIGITS$}")
}

/// The step whose code this is, among those around `now` that come after `last`. Whoever accepts it
/// keeps it as the next `last`, so that each code is accepted once.
pub(super) fn accepts(secret: &[u8], given: &str, now: Wall, last: Option<u64>) -> Option<u64> {
    let now = step_at(now);
    let around = now.saturating_sub(SLACK)..=now.saturating_add(SLACK);
    around
        .filter(|step| last.is_none_or(|last| *step > last))
        .find(|step| code(secret, *step) == given)
}

/// Whether a text has the form of a code.
pub(super) fn is_code(text: &str) -> bool {
    text.len() == DIGITS && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// What an authenticator app reads from a QR code.
pub(super) fn uri(server: &str, account: &str, secret: &str) -> String {
    let encode = |text: &str| {
        url::form_urlencoded::byte_serialize(text.as_bytes())
            .collect::<String>()
            .replace('+', "%20")
    };
    let (server, account) = (encode(server), encode(account));
    format!(
        "otpauth://totp/Coppice%20{server}:{account}?secret={secret}&issuer=Coppice%20{server}\
         &algorithm=SHA1&digits={DIGITS}&period={STEP}"
    )
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    const SECRET: &[u8] = b"12345678901234567890";

    /// The code that an app shows at a time.
    pub(crate) fn shown(secret: &[u8], now: Wall) -> String {
        code(secret, step_at(now))
    }

    fn at(seconds: i64) -> Wall {
        Wall::from_millis(seconds * 1000)
    }

    /// RFC 6238, appendix B, the rows of SHA-1. Its codes have eight digits; ours are their last six.
    #[test]
    fn codes_are_those_of_rfc_6238() {
        for (seconds, expected) in [
            (59, "94287082"),
            (1_111_111_109, "07081804"),
            (1_111_111_111, "14050471"),
            (1_234_567_890, "89005924"),
            (2_000_000_000, "69279037"),
            (20_000_000_000, "65353130"),
        ] {
            assert_eq!(shown(SECRET, at(seconds)), expected[2..], "{seconds}");
        }
    }

    /// RFC 4226, appendix D.
    #[test]
    fn codes_are_those_of_rfc_4226() {
        let expected = [
            "755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583",
            "399871", "520489",
        ];
        for (step, expected) in (0..).zip(expected) {
            assert_eq!(code(SECRET, step), expected, "{step}");
        }
    }

    #[test]
    fn a_code_is_accepted_a_step_early_or_late_and_no_more() {
        let code = shown(SECRET, at(1000));
        for (now, accepted) in [
            (959, false),
            (960, true),
            (1000, true),
            (1049, true),
            (1050, false),
        ] {
            let found = accepts(SECRET, &code, at(now), None);
            assert_eq!(found.is_some(), accepted, "{now}");
        }
    }

    #[test]
    fn a_code_is_not_accepted_again_nor_one_before_it() {
        let (before, now) = (shown(SECRET, at(970)), shown(SECRET, at(1000)));
        let last = accepts(SECRET, &now, at(1000), None);
        assert_eq!(last, Some(33));
        assert_eq!(accepts(SECRET, &now, at(1000), last), None);
        assert_eq!(accepts(SECRET, &before, at(1000), last), None);
        let next = shown(SECRET, at(1030));
        assert_eq!(accepts(SECRET, &next, at(1000), last), Some(34));
    }

    #[test]
    fn the_uri_names_server_and_account_and_all_that_an_app_needs() {
        assert_eq!(
            uri("willow.local", "admin", "GEZDGNBV"),
            "otpauth://totp/Coppice%20willow.local:admin?secret=GEZDGNBV\
             &issuer=Coppice%20willow.local&algorithm=SHA1&digits=6&period=30"
        );
        assert!(uri("a b&c", "x", "y").contains("Coppice%20a%20b%26c"));
    }
}
