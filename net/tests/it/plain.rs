//! Plain HTTP, as somebody meets it who has never heard of certificates.

use coppice_net::table::{ProxyMode, Role, Target};

use crate::{
    netns::run,
    servers,
    world::{World, header, in_a_world, status},
};

const COOKIE: &[&str] = &["-H", "Cookie: coppice_https=1"];

#[test]
fn a_first_visit_gets_a_page_that_explains_and_offers_the_certificate() {
    in_a_world(|| async {
        let mut world = World::unpublished();
        let service = servers::service().await;
        world.service("hello-willow.local", service, false);
        world.publish().await;
        let page = world
            .curl(&["--include", "http://hello-willow.local/x?y=1"])
            .await;
        assert_eq!(status(&page), 200);
        for part in [
            "Say hello to willow",
            "href=\"/ca.crt\"",
            "href=\"/ca.mobileconfig\"",
            "Windows",
            "macOS",
            "iPhone",
            "Android",
            "Linux",
            "Firefox",
            "https://hello-willow.local/.well-known/coppice-probe",
            "https://hello-willow.local/x?y=1",
        ] {
            assert!(page.contains(part), "{part} is missing in {page}");
        }
        let policy = header(&page, "content-security-policy").unwrap();
        assert!(
            policy.contains("connect-src https://hello-willow.local;"),
            "{policy}"
        );
        // What the page's script asks, with and without trust.
        let probe = "https://hello-willow.local/.well-known/coppice-probe";
        assert_eq!(status(&world.curl(&["--include", probe]).await), 204);
    });
}

#[test]
fn the_certificate_comes_in_every_form_and_is_the_one_we_use() {
    in_a_world(|| async {
        let world = World::new().await;
        for path in ["ca.crt", "static/local-root-ca.crt"] {
            for scheme in ["http", "https"] {
                let url = format!("{scheme}://willow.local/{path}");
                assert_eq!(world.curl(&[&url]).await, world.root.cert_pem());
            }
        }
        let profile = world.curl(&["http://willow.local/ca.mobileconfig"]).await;
        let data = profile
            .split("<data>")
            .nth(1)
            .unwrap()
            .split("</data>")
            .next()
            .unwrap();
        let body: String = world
            .root
            .cert_pem()
            .lines()
            .filter(|l| !l.starts_with('-'))
            .collect();
        assert_eq!(data, body);
        // A browser that was given the certificate gets in with it, by the fingerprint on the page.
        let file = world.dir.path().join("ca.pem");
        let print = [
            "x509",
            "-in",
            file.to_str().unwrap(),
            "-noout",
            "-fingerprint",
            "-sha256",
        ];
        let print = run("openssl", &print);
        let print = print.trim().split('=').nth(1).unwrap();
        assert!(world.curl(&["http://willow.local/"]).await.contains(print));
    });
}

#[test]
fn a_browser_that_reached_https_once_is_sent_there_at_once() {
    in_a_world(|| async {
        let world = World::new().await;
        let args = [COOKIE, &["--include", "http://willow.local/services/x?y=1"]].concat();
        let answer = world.curl(&args).await;
        assert_eq!(status(&answer), 307);
        assert_eq!(
            header(&answer, "location"),
            Some("https://willow.local/services/x?y=1")
        );
        let args = [COOKIE, &["--include", "http://willow.local/trust"]].concat();
        let answer = world.curl(&args).await;
        assert_eq!(status(&answer), 200);
        assert!(header(&answer, "set-cookie").unwrap().contains("Max-Age=0"));
    });
}

#[test]
fn other_ports_and_addresses_are_led_to_the_right_place() {
    in_a_world(|| async {
        let mut world = World::unpublished();
        world.stop_listening("0.0.0.0:443");
        world.listen("0.0.0.0:8443", Role::Https);
        world.publish().await;
        let to = async |url: &str| {
            let answer = world.curl(&[COOKIE, &["--include", url]].concat()).await;
            header(&answer, "location").map(str::to_owned)
        };
        assert_eq!(
            to("http://willow.local/a").await.as_deref(),
            Some("https://willow.local:8443/a")
        );
        // By address: to the dashboard, by the name its certificate is for.
        assert_eq!(
            to("http://127.0.0.1/a").await.as_deref(),
            Some("https://willow.local:8443/a")
        );
        // Somebody who forgot the s.
        assert_eq!(
            to("http://willow.local:8443/a").await.as_deref(),
            Some("https://willow.local:8443/a")
        );
    });
}

#[test]
fn in_plain_text_nothing_is_done_and_strangers_learn_nothing() {
    in_a_world(|| async {
        let mut world = World::unpublished();
        let mode = ProxyMode::Http {
            forwarded_headers: false,
        };
        let addr = servers::service().await;
        world.certify(&["hello-willow.local"]);
        world.route("hello-willow.local", Target::Proxy { addr, mode });
        world.publish().await;
        let post = [
            "--include",
            "--data",
            "password=x",
            "http://hello-willow.local/",
        ];
        let answer = world.curl(&post).await;
        assert_eq!(status(&answer), 403);
        assert!(
            answer.contains("nothing was done. Use https://hello-willow.local."),
            "{answer}"
        );
        let answer = world.curl(&["--include", "http://evil.example/"]).await;
        assert_eq!(status(&answer), 404);
        assert!(!answer.contains("willow"), "{answer}");
    });
}

#[test]
fn what_is_put_into_the_address_stays_text_in_the_page() {
    in_a_world(|| async {
        let world = World::new().await;
        // Raw quotes and brackets in an address are refused before anyone looks at them.
        let raw = world
            .curl(&[
                "--include",
                "--globoff",
                "http://willow.local/x?\"><script>",
            ])
            .await;
        assert_eq!(status(&raw), 400);
        let url = "http://willow.local/x?y='-alert(1)-'&lt;script&z=${1}\\";
        let page = world.curl(&["--globoff", url]).await;
        assert_eq!(page.matches("<script").count(), 1, "{page}");
        assert!(!page.contains("'-alert"), "{page}");
        assert!(page.contains(r#"z=\u0024\u007b1\u007d\u005c""#), "{page}");
    });
}
