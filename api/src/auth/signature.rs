//! The signature of a request, as StartOS's clients make it: one header, pure reading and checking.
//!
//! ```text
//! X-StartOS-Auth-Sig: timestamp=…&nonce=…&size=…&blake3=…&signer=…&signature=…   (form-urlencoded)
//! signed:  i64 BE timestamp ‖ u64 BE nonce ‖ u64 BE size ‖ blake3 of the body (32)
//!          Ed25519ph, the name of the server as context
//! ```
//!
//! Nothing here knows which keys may do what, or what was seen before.

use std::borrow::Cow;

use base64::{
    Engine,
    alphabet::STANDARD,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use ed25519_dalek::{Signature, VerifyingKey, pkcs8::DecodePublicKey};
use sha2::{Digest, Sha512};

/// How far a signature's time may be from ours, in seconds.
pub(super) const WINDOW: i64 = 30;
/// Bytes of the header that are looked at.
const LONGEST: usize = 4096;
/// What stands before the 64 bytes in the DER of a signature: a sequence of the algorithm's number
/// (Ed25519) and an octet string.
const SIGNATURE_DER: [u8; 11] = [
    0x30, 0x49, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x40,
];

/// Padding may be left out.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Why a signature says nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadSignature {
    #[error("`{0}` is missing in `X-StartOS-Auth-Sig`, or cannot be read; sign the request again")]
    Field(&'static str),
    #[error("`X-StartOS-Auth-Sig` is longer than {LONGEST} bytes; sign the request again")]
    Long,
    #[error(
        "the signature does not fit: it is of another request, or for another server; sign with \
         the name in the address as context"
    )]
    Signature,
    #[error(
        "the request was signed more than {WINDOW} s ago, or in the future; set the clocks, and \
         sign it again"
    )]
    Time,
    #[error("the body is not the one that was signed; sign the request again")]
    Body,
}

/// What a header says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Signed {
    pub(super) timestamp: i64,
    pub(super) nonce: u64,
    pub(super) signer: VerifyingKey,
    size: u64,
    blake3: [u8; 32],
    signature: Signature,
}

impl Signed {
    pub(crate) fn parse(header: &str) -> Result<Self, BadSignature> {
        if header.len() > LONGEST {
            return Err(BadSignature::Long);
        }
        let fields: Vec<(Cow<'_, str>, Cow<'_, str>)> =
            url::form_urlencoded::parse(header.as_bytes()).collect();
        let field = |name: &'static str| {
            let mut values = fields.iter().filter(|(key, _)| key == name);
            match (values.next(), values.next()) {
                (Some((_, value)), None) => Ok(value.as_ref()),
                _ => Err(BadSignature::Field(name)),
            }
        };
        let number = |name| {
            let text = field(name)?;
            text.parse::<u64>().map_err(|_| BadSignature::Field(name))
        };
        let timestamp = field("timestamp")?.parse();
        let hash = BASE64.decode(field("blake3")?).ok();
        Ok(Self {
            timestamp: timestamp.map_err(|_| BadSignature::Field("timestamp"))?,
            nonce: number("nonce")?,
            size: number("size")?,
            blake3: hash
                .and_then(|hash| hash.try_into().ok())
                .ok_or(BadSignature::Field("blake3"))?,
            signer: public_key(field("signer")?).ok_or(BadSignature::Field("signer"))?,
            signature: signature(field("signature")?).ok_or(BadSignature::Field("signature"))?,
        })
    }

    /// Whether it was made about now, for a server of one of these names.
    pub(super) fn verify(&self, names: &[String], now: i64) -> Result<(), BadSignature> {
        if now.abs_diff(self.timestamp) > WINDOW.unsigned_abs() {
            return Err(BadSignature::Time);
        }
        let message = message(self.timestamp, self.nonce, self.size, &self.blake3);
        let fits = |name: &String| {
            let prehash = Sha512::new_with_prefix(message);
            // A context that is too long signs nothing, and no name is that long.
            name.len() <= 255
                && self
                    .signer
                    .verify_prehashed_strict(prehash, Some(name.as_bytes()), &self.signature)
                    .is_ok()
        };
        match names.iter().any(fits) {
            true => Ok(()),
            false => Err(BadSignature::Signature),
        }
    }

    /// Whether this is the body that was signed.
    pub(crate) fn covers(&self, body: &[u8]) -> Result<(), BadSignature> {
        let same = self.size == body.len() as u64 && self.blake3 == *blake3::hash(body).as_bytes();
        same.then_some(()).ok_or(BadSignature::Body)
    }
}

fn message(timestamp: i64, nonce: u64, size: u64, hash: &[u8; 32]) -> [u8; 56] {
    let mut message = [0; 56];
    message[..8].copy_from_slice(&timestamp.to_be_bytes());
    message[8..16].copy_from_slice(&nonce.to_be_bytes());
    message[16..24].copy_from_slice(&size.to_be_bytes());
    message[24..].copy_from_slice(hash);
    message
}

/// An Ed25519 public key in PEM.
pub(super) fn public_key(pem: &str) -> Option<VerifyingKey> {
    VerifyingKey::from_public_key_pem(pem.trim()).ok()
}

fn signature(pem: &str) -> Option<Signature> {
    let inner = pem
        .trim()
        .strip_prefix("-----BEGIN SIGNATURE-----")?
        .strip_suffix("-----END SIGNATURE-----")?;
    let text: String = inner.split_ascii_whitespace().collect();
    let der = BASE64.decode(text).ok()?;
    let bytes = der.strip_prefix(&SIGNATURE_DER)?;
    Some(Signature::from_bytes(bytes.try_into().ok()?))
}

#[cfg(test)]
pub(crate) mod tests {
    use ed25519_dalek::{
        SigningKey,
        pkcs8::{EncodePublicKey, spki::der::pem::LineEnding},
    };
    use proptest::prelude::*;

    use super::*;

    pub(crate) fn pem_of(key: &SigningKey) -> String {
        let key = key.verifying_key();
        key.to_public_key_pem(LineEnding::LF).unwrap()
    }

    /// The header as a client makes it.
    pub(crate) fn header(
        key: &SigningKey,
        context: &str,
        (timestamp, nonce): (i64, u64),
        body: &[u8],
    ) -> String {
        let hash = *blake3::hash(body).as_bytes();
        let message = message(timestamp, nonce, body.len() as u64, &hash);
        let signature = key
            .sign_prehashed(Sha512::new_with_prefix(message), Some(context.as_bytes()))
            .unwrap();
        let der = [&SIGNATURE_DER[..], &signature.to_bytes()].concat();
        let text = base64::engine::general_purpose::STANDARD.encode(der);
        let (first, rest) = text.split_at(64);
        let pem = format!("-----BEGIN SIGNATURE-----\n{first}\n{rest}\n-----END SIGNATURE-----\n");
        url::form_urlencoded::Serializer::new(String::new())
            .append_pair("timestamp", &timestamp.to_string())
            .append_pair("nonce", &nonce.to_string())
            .append_pair("size", &body.len().to_string())
            .append_pair("blake3", &BASE64.encode(hash).replace('=', ""))
            .append_pair("signer", &pem_of(key))
            .append_pair("signature", &pem)
            .finish()
    }

    const NOW: i64 = 1_700_000_000;

    fn key() -> SigningKey {
        SigningKey::from_bytes(&[7; 32])
    }

    fn names() -> Vec<String> {
        vec!["willow.local".to_owned(), "192.168.1.5".to_owned()]
    }

    #[test]
    fn a_signature_for_one_of_our_names_fits_within_its_time() {
        for name in names() {
            let signed = Signed::parse(&header(&key(), &name, (NOW, 5), b"{}")).unwrap();
            assert_eq!(signed.signer, key().verifying_key());
            for now in [NOW - 30, NOW, NOW + 30] {
                assert_eq!(signed.verify(&names(), now), Ok(()));
            }
            for now in [NOW - 31, NOW + 31, i64::MIN, i64::MAX] {
                assert_eq!(signed.verify(&names(), now), Err(BadSignature::Time));
            }
            assert_eq!(signed.covers(b"{}"), Ok(()));
        }
    }

    #[test]
    fn a_signature_for_another_server_does_not_fit() {
        let signed = Signed::parse(&header(&key(), "oak.local", (NOW, 5), b"{}")).unwrap();
        assert_eq!(signed.verify(&names(), NOW), Err(BadSignature::Signature));
        assert_eq!(signed.verify(&[], NOW), Err(BadSignature::Signature));
    }

    #[test]
    fn whatever_is_changed_no_longer_fits() {
        let good = header(&key(), "willow.local", (NOW, 5), b"{}");
        let other = header(
            &SigningKey::from_bytes(&[8; 32]),
            "willow.local",
            (NOW, 5),
            b"{}",
        );
        let signer = |header: &str| {
            let mut pairs = url::form_urlencoded::parse(header.as_bytes());
            pairs
                .find(|(key, _)| key == "signer")
                .unwrap()
                .1
                .into_owned()
        };
        let changed = |name: &str, value: &str| {
            let pairs = url::form_urlencoded::parse(good.as_bytes()).map(|(key, old)| {
                let value = if key == name {
                    value.to_owned()
                } else {
                    old.into_owned()
                };
                (key.into_owned(), value)
            });
            let header = url::form_urlencoded::Serializer::new(String::new())
                .extend_pairs(pairs)
                .finish();
            Signed::parse(&header).and_then(|signed| signed.verify(&names(), NOW))
        };
        for (name, value) in [
            ("timestamp", (NOW + 1).to_string()),
            ("nonce", "6".to_owned()),
            ("size", "3".to_owned()),
            ("blake3", BASE64.encode([0; 32])),
            ("signer", signer(&other)),
        ] {
            assert_eq!(
                changed(name, &value),
                Err(BadSignature::Signature),
                "{name}"
            );
        }
        for name in [
            "timestamp",
            "nonce",
            "size",
            "blake3",
            "signer",
            "signature",
        ] {
            assert_eq!(changed(name, "x"), Err(BadSignature::Field(name)));
        }
        let signed = Signed::parse(&good).unwrap();
        for body in [&b"{ }"[..], b"[]", b""] {
            assert_eq!(signed.covers(body), Err(BadSignature::Body));
        }
    }

    #[test]
    fn what_is_given_twice_or_too_long_is_not_read() {
        let good = header(&key(), "willow.local", (NOW, 5), b"{}");
        let twice = Signed::parse(&format!("{good}&nonce=5"));
        assert_eq!(twice, Err(BadSignature::Field("nonce")));
        let long = Signed::parse(&format!("{good}&x={}", "x".repeat(LONGEST)));
        assert_eq!(long, Err(BadSignature::Long));
    }

    proptest! {
        #[test]
        fn no_header_makes_it_panic(header in "\\PC{0,300}", cut in 0usize..700) {
            let _ = Signed::parse(&header);
            let good = super::tests::header(&key(), "a", (NOW, 5), b"");
            let _ = Signed::parse(good.get(..cut).unwrap_or(&good));
        }
    }
}
