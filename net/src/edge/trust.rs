//! The root certificate in the forms that devices take.
//!
//! Invariant: all of it is public; the key never comes near the edge.

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use rustls::pki_types::{CertificateDer, pem::PemObject};
use sha2::{Digest, Sha256};

use super::body::{Body, answer};

/// The table's root certificate is not one.
#[derive(Debug, thiserror::Error)]
#[error("the root certificate in the table cannot be read")]
pub(super) struct TrustError;

/// A root certificate, ready for download.
#[derive(Default)]
pub(super) struct Trust {
    hostname: String,
    pem: Bytes,
    profile: Bytes,
    fingerprint: String,
}

impl Trust {
    pub(super) fn new(hostname: &str, pem: &str) -> Result<Self, TrustError> {
        let der = CertificateDer::from_pem_slice(pem.as_bytes()).map_err(|_| TrustError)?;
        let digest: [u8; 32] = Sha256::digest(&der).into();
        let hex: Vec<String> = digest.iter().map(|b| format!("{b:02X}")).collect();
        Ok(Self {
            hostname: hostname.to_owned(),
            pem: Bytes::copy_from_slice(pem.as_bytes()),
            profile: Bytes::from(profile(hostname, &der, &digest)),
            fingerprint: hex.join(":"),
        })
    }

    /// SHA-256 of the certificate as browsers print it.
    pub(super) fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    pub(super) fn hostname(&self) -> &str {
        &self.hostname
    }

    /// Answers a request for one of the files; `None` when `path` is not one.
    pub(super) fn download(&self, path: &str) -> Option<Response<Body>> {
        let (content_type, body, extension) = match path {
            // The second is where StartOS has it, and its documentation and users look.
            "/ca.crt" | "/static/local-root-ca.crt" => {
                ("application/x-x509-ca-cert", &self.pem, "crt")
            }
            "/ca.mobileconfig" => (
                "application/x-apple-aspen-config",
                &self.profile,
                "mobileconfig",
            ),
            _ => return None,
        };
        let mut response = answer(StatusCode::OK, content_type, body.clone());
        let name = format!("attachment; filename=\"{}-ca.{extension}\"", self.hostname);
        if let Ok(name) = HeaderValue::from_str(&name) {
            response
                .headers_mut()
                .insert(header::CONTENT_DISPOSITION, name);
        }
        response
            .headers_mut()
            .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        Some(response)
    }
}

/// A configuration profile that adds the certificate on iPhones, iPads and Macs. Its identifiers
/// follow from the certificate, so installing it again replaces it.
fn profile(hostname: &str, der: &[u8], digest: &[u8; 32]) -> String {
    let certificate = STANDARD.encode(der);
    let inner = uuid(&digest[..16]);
    let outer = uuid(&digest[16..]);
    format!(
        r#"<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0">
<dict>
  <key>PayloadContent</key>
  <array>
    <dict>
      <key>PayloadCertificateFileName</key><string>{hostname}-ca.crt</string>
      <key>PayloadContent</key><data>{certificate}</data>
      <key>PayloadDisplayName</key><string>{hostname} (Coppice)</string>
      <key>PayloadIdentifier</key><string>coppice.ca.{inner}</string>
      <key>PayloadType</key><string>com.apple.security.root</string>
      <key>PayloadUUID</key><string>{inner}</string>
      <key>PayloadVersion</key><integer>1</integer>
    </dict>
  </array>
  <key>PayloadDescription</key><string>Lets this device trust the server {hostname} in your home.</string>
  <key>PayloadDisplayName</key><string>{hostname} (Coppice)</string>
  <key>PayloadIdentifier</key><string>coppice.trust.{outer}</string>
  <key>PayloadRemovalDisallowed</key><false/>
  <key>PayloadType</key><string>Configuration</string>
  <key>PayloadUUID</key><string>{outer}</string>
  <key>PayloadVersion</key><integer>1</integer>
</dict>
</plist>
"#
    )
}

/// Sixteen bytes in the form of a UUID of version 8 (RFC 9562: contents are the maker's own).
fn uuid(bytes: &[u8]) -> String {
    let mut id = [0; 16];
    id.copy_from_slice(bytes);
    id[6] = id[6] & 0x0f | 0x80;
    id[8] = id[8] & 0x3f | 0x80;
    let hex: String = id.iter().map(|b| format!("{b:02X}")).collect();
    format!(
        "{}-{}-{}-{}-{}",
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..]
    )
}
