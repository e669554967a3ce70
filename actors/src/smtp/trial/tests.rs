use std::{
    io::{BufRead, BufReader},
    process::{Child, ChildStdout, Command, Stdio},
};

use coppice_clock::Wall;
use coppice_net::ca::Authority;
use serde_json::{Value, json};

use super::*;

/// A mail server in a process of its own, gone when this is dropped.
struct MailServer {
    child: Child,
    told: BufReader<ChildStdout>,
    port: u16,
    authority: Authority,
    _folder: tempfile::TempDir,
}

impl MailServer {
    fn start(security: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::create("of a mail server", Wall::now()).unwrap();
        let address = "127.0.0.1".parse().unwrap();
        let leaf = authority.issue(&[], &[address], Wall::now()).unwrap();
        let files = ["chain.pem", "key.pem"].map(|name| folder.path().join(name));
        std::fs::write(&files[0], &leaf.chain_pem).unwrap();
        std::fs::write(&files[1], leaf.key_pem.expose()).unwrap();
        let script = "src/smtp/trial/mail_server.py";
        // The Python of Debian's packages, as one of them is the server.
        let mut child = Command::new("/usr/bin/python3")
            .args([script, security])
            .args(files)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let told = BufReader::new(child.stdout.take().unwrap());
        let mut server = Self {
            child,
            told,
            port: 0,
            authority,
            _folder: folder,
        };
        let port = server.next().expect("python3-aiosmtpd is installed");
        server.port = port["port"].as_u64().unwrap().try_into().unwrap();
        server
    }

    /// What it tells next; nothing once it has ended.
    fn next(&mut self) -> Option<Value> {
        let mut line = String::new();
        self.told.read_line(&mut line).unwrap();
        serde_json::from_str(&line).ok()
    }

    /// Ends it; gives what it still had to tell.
    fn end(mut self) -> Vec<Value> {
        drop(self.child.stdin.take());
        std::iter::from_fn(|| self.next()).collect()
    }

    fn authority(&self) -> Certificate {
        Certificate::from_pem(self.authority.cert_pem().as_bytes()).unwrap()
    }

    fn settings(&self, security: SmtpSecurity) -> Smtp {
        Smtp {
            host: "127.0.0.1".into(),
            port: self.port,
            from: "The server <server@example.com>".into(),
            username: "server".into(),
            password: Some("a birch".into()),
            security,
        }
    }
}

impl Drop for MailServer {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const TO: &str = "me@example.com";

#[tokio::test]
async fn a_mail_arrives_over_tls_from_the_first_byte_and_over_tls_begun_later() {
    for (name, security) in [
        ("tls", SmtpSecurity::Tls),
        ("starttls", SmtpSecurity::StartTls),
    ] {
        let server = MailServer::start(name);
        let settings = server.settings(security);
        let trusted = vec![server.authority()];
        settings.send(TO, "coppice.local", trusted).await.unwrap();
        let told = server.end();
        assert_eq!(told[0], json!({ "login": "server", "right": true }));
        let mail = &told[1];
        assert_eq!(mail["from"], "server@example.com");
        assert_eq!(mail["to"], json!([TO]));
        assert_eq!(mail["From"], "\"The server\" <server@example.com>");
        assert_eq!(mail["Subject"], SUBJECT);
        assert_eq!(mail["text"].as_str().unwrap().trim(), TEXT.trim());
        let id = mail["Message-ID"].as_str().unwrap();
        assert!(id.ends_with("@coppice.local>"), "{id}");
        assert!(mail["Date"].is_string());
        assert_eq!(told.len(), 2);
    }
}

#[tokio::test]
async fn a_wrong_password_is_told_as_such_and_not_repeated() {
    let server = MailServer::start("starttls");
    let settings = Smtp {
        password: Some("not this".into()),
        ..server.settings(SmtpSecurity::StartTls)
    };
    let trusted = vec![server.authority()];
    let refused = settings.send(TO, "coppice.local", trusted).await;
    let refused = refused.unwrap_err();
    assert_eq!(refused.kind, Kind::Smtp);
    assert!(refused.details.contains("check the user name"), "{refused}");
    assert!(!refused.details.contains("not this"), "{refused}");
    let told = server.end();
    assert_eq!(told, [json!({ "login": "server", "right": false })]);
}

#[tokio::test]
async fn a_password_is_shown_to_nobody_whose_certificate_is_not_trusted_or_missing() {
    for (name, security, trusts) in [
        ("tls", SmtpSecurity::Tls, false),
        ("starttls", SmtpSecurity::StartTls, false),
        ("plain", SmtpSecurity::StartTls, true),
    ] {
        let server = MailServer::start(name);
        let settings = server.settings(security);
        let trusted = trusts.then(|| server.authority()).into_iter().collect();
        let refused = settings.send(TO, "coppice.local", trusted).await;
        let refused = refused.unwrap_err();
        assert_eq!(refused.kind, Kind::Smtp, "{refused}");
        assert!(refused.details.contains("check the host"), "{refused}");
        assert_eq!(server.end(), Vec::<Value>::new(), "{name}");
    }
}

#[tokio::test]
async fn what_is_no_mailbox_is_refused_before_anybody_is_asked() {
    let settings = Smtp {
        host: "127.0.0.1".into(),
        port: 9,
        from: "server@example.com".into(),
        username: "server".into(),
        password: None,
        security: SmtpSecurity::Tls,
    };
    let refused = settings.try_out("nobody", "coppice.local").await;
    let refused = refused.unwrap_err();
    assert_eq!(refused.kind, Kind::InvalidRequest);
    assert!(refused.details.contains("`to` is no mailbox"), "{refused}");
}

// The clock stands until everybody waits, and then jumps to the next deadline.
#[tokio::test(start_paused = true)]
async fn a_mail_server_that_says_nothing_is_given_up() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let settings = Smtp {
        host: "127.0.0.1".into(),
        port: listener.local_addr().unwrap().port(),
        from: "server@example.com".into(),
        username: "server".into(),
        password: None,
        security: SmtpSecurity::StartTls,
    };
    let begun = tokio::time::Instant::now();
    let silent = settings.try_out(TO, "coppice.local").await.unwrap_err();
    assert_eq!(silent.kind, Kind::Timeout, "{silent}");
    assert!(silent.details.contains("within 60 s"), "{silent}");
    assert!(begun.elapsed() < WITHIN * 2);
}
