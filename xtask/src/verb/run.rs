//! `make run`: from a checkout to running services.
//!
//! ```text
//! build ─▶ preflight ─▶ start ─▶ password ─▶ install ─▶ answer tasks ─▶ start services ─▶ tell ─▶ wait for Ctrl-C
//!                         └─ a server that answers already is used, and not waited for
//! ```
//!
//! Every step looks first whether it is still to do, so a run that was interrupted is continued by the next.

use std::fs;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use clap::Args;

use super::credentials::Credentials;
use crate::build;
use crate::checkout::Checkout;
use crate::examples;
use crate::heart::Heart;
use crate::server::{DataDir, Info, Server, Service};
use crate::steps::Steps;
use crate::stopwatch::Stopwatch;

/// How to run.
#[derive(Args)]
pub(crate) struct Options {
    #[command(flatten)]
    data: DataDir,
    /// Listen on this address only, instead of all.
    #[arg(long, value_name = "IP")]
    listen: Option<IpAddr>,
}

/// How long the server may take to hand out its certificate.
const CERTIFICATE_WITHIN: Duration = Duration::from_secs(60);
/// How long the examples may take until their checks succeed; the first start of a database takes longest.
const HEALTHY_WITHIN: Duration = Duration::from_secs(180);
const LOOK_EVERY: Duration = Duration::from_millis(250);

pub(crate) fn run(checkout: &Checkout, steps: &mut Steps, options: &Options) -> Result<()> {
    let data = options.data.path(checkout)?;
    let built = build::all(checkout, steps)?;
    examples::pack(checkout, steps, &built)?;
    let server = Server::new(&built.coppice, &data);
    steps.always("preflight", || server.preflight())?;

    let running = if server.answers() {
        eprintln!("== Coppice runs already, with {}", data.display());
        None
    } else {
        let mut more = vec!["--base-image".into(), built.base_image.into_os_string()];
        if let Some(listen) = options.listen {
            more.extend(["--listen".into(), listen.to_string().into()]);
        }
        Some(Heart::start(steps, &server, &data, &more)?)
    };
    let told = set_up(checkout, steps, &server, &data);
    match (told, running) {
        (Ok(()), Some(running)) => running.wait(),
        (Ok(()), None) => Ok(()),
        // The services may be worth a look, so they and Coppice go on.
        (Err(error), _) => {
            Err(error.context("Coppice was started; `make stop` ends it, `make run` tries again"))
        }
    }
}

/// Password, packages, tasks, services: everything through the CLI, as a person would.
fn set_up(checkout: &Checkout, steps: &mut Steps, server: &Server, data: &Path) -> Result<()> {
    let (mut credentials, are_new) = Credentials::of(data)?;
    if let (true, Some(password)) = (are_new, credentials.coppice.as_deref()) {
        let mut ours = false;
        steps.always("admin password", || {
            ours = server.set_first_password(password)?;
            Ok(())
        })?;
        if !ours {
            eprintln!("== this server has an admin password already; it stays as it is");
            credentials.coppice = None;
        }
        // Kept only now: what cannot be read back must have been set.
        credentials.keep(data)?;
    }
    for name in examples::AT_FIRST {
        if find(&server.services()?, name).is_none() {
            let s9pk = examples::folder(checkout).join(format!("{name}.s9pk"));
            steps.always(&format!("{name}: install"), || server.install(&s9pk))?;
        }
    }
    if find(&server.services()?, "miniflux").is_some_and(|miniflux| miniflux.status == "needs-task")
    {
        let account = serde_json::json!({ "username": "admin", "password": credentials.miniflux });
        steps.always("miniflux: create the admin account", || {
            server.act("miniflux", "set-admin", &account)
        })?;
    }
    for name in examples::AT_FIRST {
        if find(&server.services()?, name).is_some_and(|service| service.status == "stopped") {
            steps.always(&format!("{name}: start"), || server.start(name))?;
        }
    }
    steps.always("services: first checks", || all_healthy(server))?;
    tell(server, data, &credentials, are_new)
}

fn find<'a>(services: &'a [Service], id: &str) -> Option<&'a Service> {
    services.iter().find(|service| service.id == id)
}

fn all_healthy(server: &Server) -> Result<()> {
    let watch = Stopwatch::start();
    loop {
        let services = server.services()?;
        let waiting: Vec<_> = examples::AT_FIRST
            .iter()
            .filter(|name| find(&services, name).is_none_or(|s| s.status != "running"))
            .collect();
        if waiting.is_empty() {
            return Ok(());
        }
        if watch.elapsed() > HEALTHY_WITHIN {
            bail!(
                "{waiting:?} did not get well; `coppice service why` and `coppice service logs` say more"
            );
        }
        look_again();
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the CLI has no way to wait for a status"
)]
fn look_again() {
    thread::sleep(LOOK_EVERY);
}

fn tell(server: &Server, data: &Path, credentials: &Credentials, are_new: bool) -> Result<()> {
    let info = server.info()?;
    let port = if info.https_port == 443 {
        String::new()
    } else {
        format!(":{}", info.https_port)
    };
    println!("\n{:12} https://{}.local{port}", "Coppice", info.hostname);
    for service in server.services()? {
        println!(
            "{:12} {}",
            service.id,
            service.address.as_deref().unwrap_or("(no page)")
        );
    }
    if are_new {
        println!("\n{}", credentials.text());
        println!(
            "This is shown once. It is kept in {}, which only root reads.",
            Credentials::file(data).display()
        );
    } else {
        println!("\nPasswords: {}", Credentials::file(data).display());
    }
    println!(
        "First make your devices trust the server: open http://{}.local:{}",
        info.hostname, info.http_port
    );
    println!(
        "or take the certificate from {}.",
        save_certificate(&info, data)?.display()
    );
    println!(
        "\nCtrl-C stops Coppice and leaves the services running; `make stop` stops them, too."
    );
    println!("`make clean-run` removes everything, with the data.");
    Ok(())
}

/// Fetches the certificate of the server's own authority from where every device gets it, for use on this machine.
fn save_certificate(info: &Info, data: &Path) -> Result<PathBuf> {
    let file = data.join("ca.crt");
    let url = format!("http://{}.local:{}/ca.crt", info.hostname, info.http_port);
    let fetched =
        TcpStream::connect((Ipv4Addr::LOCALHOST, info.http_port)).and_then(|mut stream| {
            stream.set_read_timeout(Some(CERTIFICATE_WITHIN))?;
            write!(
                stream,
                "GET /ca.crt HTTP/1.1\r\nHost: {}.local\r\nConnection: close\r\n\r\n",
                info.hostname
            )?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer).map(|_| answer)
        });
    let answer = fetched.with_context(|| format!("cannot fetch {url}"))?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_default();
    ensure!(
        head.starts_with("HTTP/1.1 200 ") && body.contains("BEGIN CERTIFICATE"),
        "{url} gave no certificate"
    );
    fs::write(&file, body).with_context(|| format!("cannot write {}", file.display()))?;
    Ok(file)
}
