//! Who asks. Requests come through kube-apiserver, which shows a client certificate of its own and names its user in headers. What
//! it shows and which headers it uses is in a ConfigMap that it keeps for servers like this one. Pure.

use std::collections::BTreeMap;

use axum::http::HeaderMap;
use k8s_openapi::api::authentication::v1::UserInfo;
use percent_encoding::percent_decode_str;
use rustls::pki_types::{CertificateDer, pem::PemObject as _};
use thiserror::Error;

/// The namespace of the ConfigMap.
pub(super) const NAMESPACE: &str = "kube-system";
/// Its name.
pub(super) const NAME: &str = "extension-apiserver-authentication";

const AUTHORITIES: &str = "requestheader-client-ca-file";
const NAMES: &str = "requestheader-allowed-names";
const USERS: &str = "requestheader-username-headers";
const UIDS: &str = "requestheader-uid-headers";
const GROUPS: &str = "requestheader-group-headers";
const EXTRAS: &str = "requestheader-extra-headers-prefix";

const ANONYMOUS: &str = "system:anonymous";
const AUTHENTICATED: &str = "system:authenticated";
const UNAUTHENTICATED: &str = "system:unauthenticated";

/// Why nobody can be told from anybody else.
#[derive(Debug, Clone, Error, PartialEq, Eq)]
pub(super) enum FrontProxyError {
    /// The API server has no aggregation layer, or the ConfigMap is not there or may not be read.
    #[error(
        "got no {AUTHORITIES} in ConfigMap {NAMESPACE}/{NAME}, expected the authority of kube-apiserver's front proxy: start \
         kube-apiserver with --{AUTHORITIES}, and bind the operator to the Role extension-apiserver-authentication-reader"
    )]
    NoAuthority,
    /// A field holds something else.
    #[error("{key} in ConfigMap {NAMESPACE}/{NAME}: {reason}; expected {expected}, as kube-apiserver writes it")]
    Content {
        /// The field.
        key: &'static str,
        /// What is wrong.
        reason: String,
        /// What it should hold.
        expected: &'static str,
    },
}

/// Why it is not known who asks.
#[derive(Debug, Error, PartialEq, Eq)]
pub(super) enum Stranger {
    /// No certificate that the authority signed.
    #[error(
        "got no client certificate, expected kube-apiserver's: ask through it, for example by `kubectl get --raw \
         /apis/external.metrics.k8s.io/v1beta1`"
    )]
    NoCertificate,
    /// The certificate of somebody else.
    #[error("got the client certificate of `{got}`, expected one of {expected}, which {NAMES} lists")]
    Name {
        /// Whose it is.
        got: String,
        /// Who may.
        expected: String,
    },
    /// No user.
    #[error("got no user in the headers of the request, expected one in {expected}")]
    NoUser {
        /// Where it is looked for.
        expected: String,
    },
}

/// What kube-apiserver's front proxy shows and which headers it uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FrontProxy {
    /// Who signs its certificate.
    pub(super) authorities: Vec<CertificateDer<'static>>,
    /// Common names that its certificate may have; any where there are none.
    names: Vec<String>,
    users: Vec<String>,
    uids: Vec<String>,
    groups: Vec<String>,
    extras: Vec<String>,
}

impl FrontProxy {
    /// Reads the ConfigMap's data.
    ///
    /// # Errors
    /// There is no authority, or a field holds something else than kube-apiserver writes.
    pub(super) fn read(data: &BTreeMap<String, String>) -> Result<Self, FrontProxyError> {
        let pem = data.get(AUTHORITIES).filter(|pem| !pem.trim().is_empty()).ok_or(FrontProxyError::NoAuthority)?;
        let authorities = CertificateDer::pem_slice_iter(pem.as_bytes()).collect::<Result<Vec<_>, _>>();
        let authorities = authorities.map_err(|error| FrontProxyError::Content {
            key: AUTHORITIES,
            reason: error.to_string(),
            expected: "certificates in PEM",
        })?;
        let users = list(data, USERS)?;
        if authorities.is_empty() || users.is_empty() {
            return Err(FrontProxyError::NoAuthority);
        }
        Ok(Self {
            authorities,
            names: list(data, NAMES)?,
            users,
            uids: list(data, UIDS)?,
            groups: list(data, GROUPS)?,
            extras: list(data, EXTRAS)?,
        })
    }

    /// The user that a request is made for; `common_name` is its certificate's, which the authority has signed. Headers of a
    /// request without such a certificate say nothing: anybody can write them.
    ///
    /// # Errors
    /// The request does not come from the front proxy, or names no user.
    pub(super) fn user(&self, common_name: Option<&str>, headers: &HeaderMap) -> Result<UserInfo, Stranger> {
        let common_name = common_name.ok_or(Stranger::NoCertificate)?;
        if !self.names.is_empty() && !self.names.iter().any(|name| name == common_name) {
            return Err(Stranger::Name { got: common_name.to_owned(), expected: self.names.join(", ") });
        }
        let first = |names: &[String]| names.iter().flat_map(|name| values(headers, name)).next();
        let Some(user) = first(&self.users) else {
            return Err(Stranger::NoUser { expected: self.users.join(", ") });
        };
        let mut groups: Vec<String> = self.groups.iter().flat_map(|name| values(headers, name)).collect();
        // As Kubernetes' own servers of APIs do. kube-apiserver names no group when it asks for itself what there is.
        let is_known = |group: &String| group == AUTHENTICATED || group == UNAUTHENTICATED;
        if user != ANONYMOUS && !groups.iter().any(is_known) {
            groups.push(AUTHENTICATED.to_owned());
        }
        Ok(UserInfo { username: Some(user), uid: first(&self.uids), groups: Some(groups), extra: self.extra(headers) })
    }

    /// What else is known of the user: authorizers may decide by it, such as by the scopes of a token.
    fn extra(&self, headers: &HeaderMap) -> Option<BTreeMap<String, Vec<String>>> {
        let mut extra: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for prefix in self.extras.iter().map(|prefix| prefix.to_lowercase()) {
            for name in headers.keys() {
                // Names of headers are lower-case here.
                let Some(key) = name.as_str().strip_prefix(&prefix) else { continue };
                let key = percent_decode_str(key).decode_utf8_lossy().into_owned();
                extra.entry(key).or_default().extend(values(headers, name.as_str()));
            }
        }
        (!extra.is_empty()).then_some(extra)
    }
}

/// A list as JSON; empty where there is none.
fn list(data: &BTreeMap<String, String>, key: &'static str) -> Result<Vec<String>, FrontProxyError> {
    let Some(text) = data.get(key).filter(|text| !text.trim().is_empty()) else { return Ok(Vec::new()) };
    serde_json::from_str(text).map_err(|error| FrontProxyError::Content {
        key,
        reason: error.to_string(),
        expected: "a list of texts as JSON",
    })
}

/// The values of a header that are there and are text.
fn values(headers: &HeaderMap, name: &str) -> Vec<String> {
    let texts = headers.get_all(name).iter().filter_map(|value| String::from_utf8(value.as_bytes().to_vec()).ok());
    texts.filter(|text| !text.trim().is_empty()).collect()
}

#[cfg(test)]
pub(super) mod tests {
    use axum::http::{HeaderName, HeaderValue};

    use super::*;

    /// The ConfigMap as kube-apiserver of a kubeadm cluster writes it.
    pub(in crate::scaling) fn data(authority: &str) -> BTreeMap<String, String> {
        let fields = [
            ("client-ca-file", "another"),
            (AUTHORITIES, authority),
            (NAMES, r#"["front-proxy-client"]"#),
            (USERS, r#"["X-Remote-User"]"#),
            (UIDS, r#"["X-Remote-Uid"]"#),
            (GROUPS, r#"["X-Remote-Group"]"#),
            (EXTRAS, r#"["X-Remote-Extra-"]"#),
        ];
        fields.map(|(key, value)| (key.to_owned(), value.to_owned())).into()
    }

    fn authority() -> String {
        rcgen::generate_simple_self_signed(["front-proxy-ca".to_owned()]).unwrap().cert.pem()
    }

    fn proxy() -> FrontProxy {
        FrontProxy::read(&data(&authority())).unwrap()
    }

    fn headers(list: &[(&'static str, &'static str)]) -> HeaderMap {
        list.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn the_front_proxy_speaks_for_its_user() {
        let headers = headers(&[
            ("x-remote-user", "hpa"),
            ("x-remote-uid", "7"),
            ("x-remote-group", "system:serviceaccounts"),
            ("x-remote-group", "system:authenticated"),
            ("x-remote-extra-example.com%2fscope", "read"),
            ("x-remote-extra-example.com%2fscope", "write"),
        ]);
        let user = proxy().user(Some("front-proxy-client"), &headers).unwrap();
        assert_eq!((user.username.as_deref(), user.uid.as_deref()), (Some("hpa"), Some("7")));
        assert_eq!(user.groups.unwrap(), ["system:serviceaccounts", "system:authenticated"]);
        assert_eq!(user.extra.unwrap()["example.com/scope"], ["read", "write"]);
    }

    #[test]
    fn whoever_is_named_is_authenticated_and_anonymous_is_not() {
        for (user, group, groups) in [
            ("system:kube-aggregator", "", &["system:authenticated"][..]),
            ("hpa", "scalers", &["scalers", "system:authenticated"][..]),
            ("system:anonymous", "system:unauthenticated", &["system:unauthenticated"][..]),
            ("system:anonymous", "", &[][..]),
        ] {
            let headers = headers(&[("x-remote-user", user), ("x-remote-group", group)]);
            assert_eq!(proxy().user(Some("front-proxy-client"), &headers).unwrap().groups.unwrap(), groups, "{user}");
        }
    }

    #[test]
    fn nobody_else_speaks_for_anybody() {
        let named = headers(&[("x-remote-user", "admin"), ("x-remote-group", "system:masters")]);
        assert_eq!(proxy().user(None, &named), Err(Stranger::NoCertificate));
        let refusal = proxy().user(Some("kubelet"), &named).unwrap_err().to_string();
        assert!(refusal.contains("`kubelet`") && refusal.contains("front-proxy-client"), "{refusal}");
        let nobody = headers(&[("x-remote-group", "system:masters"), ("x-remote-user", "")]);
        let refusal = proxy().user(Some("front-proxy-client"), &nobody).unwrap_err().to_string();
        assert!(refusal.contains("X-Remote-User"), "{refusal}");
    }

    #[test]
    fn without_a_list_of_names_the_authority_alone_decides() {
        let mut data = data(&authority());
        data.insert(NAMES.to_owned(), "[]".to_owned());
        let named = headers(&[("x-remote-user", "hpa")]);
        assert!(FrontProxy::read(&data).unwrap().user(Some("anybody"), &named).is_ok());
    }

    #[test]
    fn what_is_missing_or_wrong_is_named() {
        let refusal = |change: &dyn Fn(&mut BTreeMap<String, String>)| {
            let mut data = data(&authority());
            change(&mut data);
            FrontProxy::read(&data).unwrap_err().to_string()
        };
        let missing = refusal(&|data| drop(data.remove(AUTHORITIES)));
        assert!(missing.contains("--requestheader-client-ca-file") && missing.contains("authentication-reader"));
        let torn = refusal(&|data| drop(data.insert(NAMES.to_owned(), "front-proxy-client".to_owned())));
        assert!(torn.contains(NAMES) && torn.contains("expected a list"), "{torn}");
        let damaged = "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n";
        let damaged = refusal(&|data| drop(data.insert(AUTHORITIES.to_owned(), damaged.to_owned())));
        assert!(damaged.contains(AUTHORITIES) && damaged.contains("PEM"), "{damaged}");
    }
}
