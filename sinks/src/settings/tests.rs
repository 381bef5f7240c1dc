use super::*;

fn path(name: &str) -> Option<PathBuf> {
    Some(PathBuf::from(name))
}

fn alertmanager(urls: &[&str], access: GivenAccess) -> Given {
    let urls = urls.iter().map(|url| (*url).to_owned()).collect();
    Given { alertmanager: GivenAlertmanager { urls, resend: None, access }, ..Given::default() }
}

fn webhook(url: &str) -> GivenWebhook {
    GivenWebhook { url: Some(url.to_owned()), ..GivenWebhook::default() }
}

fn refusal(given: Given, style: Style) -> String {
    Settings::new(given, style).unwrap_err().to_string()
}

#[test]
fn without_a_url_there_is_no_receiver() {
    assert!(Settings::new(Given::default(), Style::Flags).unwrap().is_empty());
}

#[test]
fn each_replica_is_a_receiver_with_the_same_access() {
    let access = GivenAccess { token_file: path("/t"), ca_file: path("/ca"), ..GivenAccess::default() };
    let settings = Settings::new(alertmanager(&["https://a:9093", "https://b/am"], access), Style::Flags).unwrap();
    let shown: Vec<_> = settings.alertmanager.iter().map(|replica| replica.shown.as_str()).collect();
    assert_eq!(shown, ["https://a:9093/api/v2/alerts", "https://b/am/api/v2/alerts"]);
    assert_eq!(settings.alertmanager[0].access, settings.alertmanager[1].access);
    assert_eq!((settings.resend, settings.notices.len()), (RESEND, 0));
}

#[test]
fn the_path_of_a_webhook_is_not_shown() {
    let given = Given { webhook: webhook("https://hooks.example/T0/B0/secret"), ..Given::default() };
    let webhook = Settings::new(given, Style::Flags).unwrap().webhook.unwrap();
    assert_eq!(webhook.shown, "https://hooks.example/…");
}

#[test]
fn the_query_of_a_replica_is_not_shown_and_tells_it_from_others() {
    let urls = ["http://a?token=abc", "http://a?token=def", "http://a"];
    let settings = Settings::new(alertmanager(&urls, GivenAccess::default()), Style::Flags).unwrap();
    let shown: Vec<_> = settings.alertmanager.iter().map(|replica| replica.shown.as_str()).collect();
    assert_eq!(shown, ["http://a/api/v2/alerts?…", "http://a/api/v2/alerts?… #2", "http://a/api/v2/alerts"]);
}

#[test]
fn what_is_not_safe_is_said() {
    let access = GivenAccess { token_file: path("/t"), ca_file: path("/ca"), ..GivenAccess::default() };
    let notices = Settings::new(alertmanager(&["http://a", "http://b"], access), Style::Flags).unwrap().notices;
    assert_eq!(notices.len(), 2, "{notices:?}");
    assert!(notices[0].contains("--alertmanager is no https URL"), "{notices:?}");
}

#[test]
fn what_contradicts_itself_is_refused_in_the_words_of_its_setting() {
    let of = |access| alertmanager(&["https://a"], access);
    let table = [
        (
            alertmanager(&["a:9093"], GivenAccess::default()),
            "got --alertmanager `a:9093`",
            "got alertmanager.urls `a:9093`",
        ),
        (
            alertmanager(&["https://me:secret@a"], GivenAccess::default()),
            "--alertmanager-username and its password to --alertmanager-password-file",
            "alertmanager.access.username and its password to alertmanager.access.passwordFile",
        ),
        (
            alertmanager(&["http://a?token=hush", "http://a/?token=hush"], GivenAccess::default()),
            "--alertmanager `http://a/api/v2/alerts?…` twice",
            "got alertmanager.urls `http://a/api/v2/alerts?…` twice",
        ),
        (
            Given { webhook: webhook("hooks.example/T0/B0/hush"), ..Given::default() },
            "got --webhook `hooks.example/…`",
            "got webhook.url `hooks.example/…`",
        ),
        (
            alertmanager(&["http://a"; 9], GivenAccess::default()),
            "got 9 of --alertmanager",
            "got 9 of alertmanager.urls",
        ),
        (
            of(GivenAccess { username: Some("me".to_owned()), ..GivenAccess::default() }),
            "got --alertmanager-username without --alertmanager-password-file",
            "got alertmanager.access.username without alertmanager.access.passwordFile",
        ),
        (
            of(GivenAccess { username: Some("a:b".to_owned()), password_file: path("/p"), ..GivenAccess::default() }),
            "got --alertmanager-username that",
            "got alertmanager.access.username that",
        ),
        (
            of(GivenAccess { password_file: path("/p"), token_file: path("/t"), ..GivenAccess::default() }),
            "got --alertmanager-password-file and --alertmanager-token-file",
            "got alertmanager.access.passwordFile and alertmanager.access.tokenFile",
        ),
        (
            of(GivenAccess { client_key_file: path("/k"), ..GivenAccess::default() }),
            "without --alertmanager-client-certificate-file",
            "without alertmanager.access.clientCertificateFile",
        ),
        (
            alertmanager(&[], GivenAccess { ca_file: path("/ca"), ..GivenAccess::default() }),
            "got --alertmanager-ca-file without --alertmanager,",
            "got alertmanager.access.caFile without alertmanager.urls,",
        ),
        (
            Given { webhook: GivenWebhook { url_file: path("/u"), ..webhook("https://a") }, ..Given::default() },
            "got --webhook and --webhook-url-file",
            "got webhook.url and webhook.urlFile",
        ),
        (
            Given { webhook: GivenWebhook { secret_file: path("/s"), ..GivenWebhook::default() }, ..Given::default() },
            "got --webhook-secret-file without --webhook,",
            "got webhook.secretFile without webhook.url,",
        ),
        (
            Given { dashboard_url: Some("https://g/{colour}".to_owned()), ..of(GivenAccess::default()) },
            "--dashboard-url: got {colour}",
            "dashboardUrl: got {colour}",
        ),
        (
            Given { dashboard_url: Some("https://g/".to_owned()), ..Given::default() },
            "got --dashboard-url without --alertmanager,",
            "got dashboardUrl without alertmanager.urls,",
        ),
    ];
    for (given, flags, fields) in table {
        for (style, expected) in [(Style::Flags, flags), (Style::Fields, fields)] {
            let error = refusal(given.clone(), style);
            assert!(error.contains(expected) && error.contains("expected"), "{expected}: {error}");
            assert!(!error.contains("me:secret") && !error.contains("hush"), "{error}");
        }
    }
}

#[test]
fn the_interval_is_within_reason() {
    let with = |resend| {
        let mut given = alertmanager(&["https://a"], GivenAccess::default());
        given.alertmanager.resend = Some(resend);
        given
    };
    for (seconds, style, expected) in [
        (0, Style::Flags, "got --alertmanager-resend of 0ns, expected 5s to 3600s"),
        (3601, Style::Fields, "got alertmanager.resendInterval of 3601s, expected 5s to 3600s"),
    ] {
        assert_eq!(refusal(with(Duration::from_secs(seconds)), style), expected);
    }
    let taken = Settings::new(with(Duration::from_secs(5)), Style::Flags).unwrap();
    assert_eq!(taken.resend, Duration::from_secs(5));
}
