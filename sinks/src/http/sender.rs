//! Sends to one receiver: one attempt at a time, within a time limit. The caller decides when to try again.

use std::{fmt, time::Duration};

use bytes::{Buf as _, Bytes};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, Uri, header};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use jiff::Timestamp;

use super::{
    access::Access,
    failure::{self, Advice, Failure},
    file::File,
    tls::{self, Material, TlsError},
    url::{Url, Visible, is_https},
};

/// The longest that an attempt usually takes, from the connection to the end of the answer.
pub const TIME_LIMIT: Duration = Duration::from_secs(10);

/// What is read of an answer: its status is what counts, and a few words of an error.
const MAX_ANSWER: usize = 4096;

/// How long an error's words are waited for: its status is there, and must not turn into an attempt without an answer.
const WORDS_LIMIT: Duration = Duration::from_secs(1);

/// A connection that nobody used for so long is closed.
const IDLE: Duration = Duration::from_secs(90);

type Http = Client<HttpsConnector<HttpConnector>, Full<Bytes>>;

/// Where to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// Always there.
    Fixed(Uri),
    /// Where the URL in a file leads: it may be a secret, and change.
    InFile(File),
}

/// Sends to one receiver.
pub struct Sender {
    address: Address,
    visible: Visible,
    access: Access,
    program: &'static str,
    limit: Duration,
    /// With what it was made of: other certificates make another client.
    client: Option<(Option<Material>, Http)>,
}

impl fmt::Debug for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender").field("address", &self.address).field("access", &self.access).finish_non_exhaustive()
    }
}

impl Sender {
    /// For this receiver, of whose address failures name what is `visible`; `program` is who says that it sends, `limit` the
    /// longest that an attempt takes.
    pub const fn new(
        address: Address,
        visible: Visible,
        access: Access,
        program: &'static str,
        limit: Duration,
    ) -> Self {
        Self { address, visible, access, program, limit, client: None }
    }

    /// Posts JSON. Certificates, credentials and the address are read anew.
    ///
    /// # Errors
    /// It was not taken, or it is not known whether it was.
    pub async fn post(&mut self, headers: HeaderMap, body: Bytes) -> Result<(), Failure> {
        let limit = self.limit;
        let attempt = tokio::time::timeout(limit, self.attempt(headers, body));
        attempt.await.unwrap_or_else(|_| Err(Failure::timed_out(limit)))
    }

    async fn attempt(&mut self, headers: HeaderMap, body: Bytes) -> Result<(), Failure> {
        // What a file lacks now it may have later.
        let later = |reason| Failure::refused(reason, true);
        let uri = self.uri().map_err(later)?;
        let login = self.access.login.header().map_err(later)?;
        let is_secured = is_https(&uri);
        let client = self.client(is_secured).map_err(|error| later(error.to_string()))?;
        let mut request = Request::post(uri.clone()).body(Full::new(body)).map_err(|error| Failure::own(&error))?;
        *request.headers_mut() = headers;
        let fixed = [
            (header::CONTENT_TYPE, HeaderValue::from_static("application/json")),
            (header::USER_AGENT, HeaderValue::from_static(self.program)),
        ];
        request.headers_mut().extend(fixed);
        request.headers_mut().extend(login.map(|login| (header::AUTHORIZATION, login)));
        let access = &self.access;
        let advice =
            Advice { authorities: &access.authorities_setting, identity: &access.identity_setting, own: |_| None };
        let is_stranger = is_secured && access.security.identity.is_none();
        let response = client.request(request).await.map_err(|error| {
            let failure = Failure::transport(&error, &advice);
            if is_stranger { failure.of_stranger(&access.identity_setting) } else { failure }
        })?;
        let (status, headers, words) = read(response).await;
        if status.is_success() {
            return Ok(());
        }
        // The answer may name the URL, which may be a secret.
        let message = self.visible.words(&failure::text(&headers, &words).unwrap_or_default(), &uri);
        let location = failure::location(&headers).map(|location| self.visible.location(location));
        let said = (message.as_str(), location.as_deref());
        Err(Failure::http(status, &headers, said, is_transient(status), Timestamp::now()))
    }

    fn uri(&self) -> Result<Uri, String> {
        let file = match &self.address {
            Address::Fixed(uri) => return Ok(uri.clone()),
            Address::InFile(file) => file,
        };
        let expected = "a URL such as https://chat.example/hooks/…";
        let text = file.read_word(expected)?;
        // Never shown: it is in a file because it is a secret.
        Url::parse(&text).filter(|url| !url.had_user).and_then(|url| url.join(None)).ok_or_else(|| {
            format!("got something else in {}, expected {expected}, without a user's name", file.named())
        })
    }

    /// The client for the certificates that the files hold now.
    fn client(&mut self, is_secured: bool) -> Result<Http, TlsError> {
        let material = is_secured.then(|| Material::read(&self.access.security)).transpose()?;
        if let Some((known, client)) = &self.client
            && *known == material
        {
            return Ok(client.clone());
        }
        let config = match &material {
            Some(material) => material.config(&self.access.authorities_setting)?,
            None => tls::plain()?,
        };
        let connector = HttpsConnectorBuilder::new().with_tls_config(config).https_or_http().enable_http1().build();
        let client = Client::builder(TokioExecutor::new())
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .build(connector);
        self.client = Some((material, client.clone()));
        Ok(client)
    }
}

/// The beginning of an answer. One that breaks off or never ends says as much by its status.
async fn read(response: Response<Incoming>) -> (StatusCode, HeaderMap, Vec<u8>) {
    let (parts, mut body) = response.into_parts();
    let mut words: Vec<u8> = Vec::new();
    if !parts.status.is_success() {
        let reading = async {
            while words.len() < MAX_ANSWER
                && let Some(Ok(frame)) = body.frame().await
            {
                let Ok(mut data) = frame.into_data() else { break };
                let room = MAX_ANSWER - words.len();
                words.extend_from_slice(&data.copy_to_bytes(room.min(data.remaining())));
            }
        };
        // What has come by then is enough.
        let _is_whole = tokio::time::timeout(WORDS_LIMIT, reading).await.is_ok();
    }
    (parts.status, parts.headers, words)
}

/// Whether the same message may be taken later. Only what is said of the message itself, or for good, stays true: credentials
/// are replaced, and a proxy answers 404 or redirects while what is behind it is deployed anew.
fn is_transient(status: StatusCode) -> bool {
    !matches!(
        status,
        StatusCode::BAD_REQUEST
            | StatusCode::GONE
            | StatusCode::PAYLOAD_TOO_LARGE
            | StatusCode::UNSUPPORTED_MEDIA_TYPE
            | StatusCode::UNPROCESSABLE_ENTITY
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_said_of_the_message_is_final() {
        let last: Vec<u16> =
            (300..600).filter(|status| !is_transient(StatusCode::from_u16(*status).unwrap())).collect();
        assert_eq!(last, [400, 410, 413, 415, 422]);
    }
}
