//! The page, as `npm run build` left it in `dashboard/dist`: embedded, compressed once at the start, and told apart by ETags.

use std::io::{self, Write as _};

use axum::{
    body::{Body, Bytes},
    http::{HeaderMap, HeaderName, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use flate2::{Compression, write::GzEncoder};
use netprecursor_core::hex;
use sha2::{Digest as _, Sha256};

/// Where the page may load from, and what it may do: nothing inline, nothing from elsewhere.
pub(super) const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Path, type and content of each file.
const FILES: [(&str, &str, &[u8]); 5] = [
    ("/", "text/html; charset=utf-8", include_bytes!("../../../dashboard/dist/index.html")),
    ("/dashboard.js", "text/javascript; charset=utf-8", include_bytes!("../../../dashboard/dist/dashboard.js")),
    ("/dashboard.css", "text/css; charset=utf-8", include_bytes!("../../../dashboard/dist/dashboard.css")),
    ("/icon.svg", "image/svg+xml", include_bytes!("../../../dashboard/dist/icon.svg")),
    ("/licenses.txt", "text/plain; charset=utf-8", include_bytes!("../../../dashboard/dist/licenses.txt")),
];

/// A file in both forms.
struct Asset {
    path: &'static str,
    kind: &'static str,
    plain: &'static [u8],
    gzip: Bytes,
    digest: String,
}

/// All files.
pub(super) struct Assets(Vec<Asset>);

impl Assets {
    /// Compresses the files.
    pub(super) fn load() -> io::Result<Self> {
        let load = |(path, kind, plain): (&'static str, &'static str, &'static [u8])| {
            let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
            gzip.write_all(plain)?;
            let digest = hex(&Sha256::digest(plain)[..12]);
            Ok::<_, io::Error>(Asset { path, kind, plain, gzip: gzip.finish()?.into(), digest })
        };
        FILES.into_iter().map(load).collect::<io::Result<Vec<_>>>().map(Self)
    }

    /// Paths of all files.
    pub(super) fn paths() -> impl Iterator<Item = &'static str> {
        FILES.into_iter().map(|(path, ..)| path)
    }

    /// The answer to a request for a file; `None` for another path.
    pub(super) fn answer(&self, path: &str, headers: &HeaderMap) -> Option<Response> {
        let asset = self.0.iter().find(|asset| asset.path == path)?;
        let is_zipped = mentions(headers, &header::ACCEPT_ENCODING, "gzip");
        let tag = format!("\"{}{}\"", asset.digest, if is_zipped { "-gzip" } else { "" });
        let is_known = mentions(headers, &header::IF_NONE_MATCH, &tag);
        let about =
            [(header::ETAG, tag.as_str()), (header::CACHE_CONTROL, "no-cache"), (header::VARY, "accept-encoding")];
        if is_known {
            return Some((StatusCode::NOT_MODIFIED, about).into_response());
        }
        let kind = [(header::CONTENT_TYPE, asset.kind)];
        Some(if is_zipped {
            (about, kind, [(header::CONTENT_ENCODING, "gzip")], Body::from(asset.gzip.clone())).into_response()
        } else {
            (about, kind, Body::from(asset.plain)).into_response()
        })
    }
}

/// Whether a header that is a list has this item. Nobody refuses gzip with `q=0` and means it.
fn mentions(headers: &HeaderMap, name: &HeaderName, item: &str) -> bool {
    let lists = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    lists.flat_map(|list| list.split(',')).any(|each| each.split(';').next().is_some_and(|each| each.trim() == item))
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    fn headers(pairs: &[(HeaderName, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect()
    }

    fn body(response: Response) -> Vec<u8> {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(axum::body::to_bytes(response.into_body(), 1 << 20)).unwrap().into()
    }

    #[test]
    fn a_file_is_the_same_in_both_forms_under_different_tags() {
        let assets = Assets::load().unwrap();
        let plain = assets.answer("/dashboard.js", &headers(&[])).unwrap();
        let zipped = assets.answer("/dashboard.js", &headers(&[(header::ACCEPT_ENCODING, "br, gzip;q=0.8")])).unwrap();
        assert_eq!(zipped.headers()[header::CONTENT_ENCODING], "gzip");
        assert_ne!(plain.headers()[header::ETAG], zipped.headers()[header::ETAG]);
        let mut text = Vec::new();
        flate2::read::GzDecoder::new(&*body(zipped)).read_to_end(&mut text).unwrap();
        assert!(text == body(plain) && !text.is_empty());
    }

    #[test]
    fn what_a_browser_has_already_is_not_sent_again() {
        let assets = Assets::load().unwrap();
        let tag = assets.answer("/", &headers(&[])).unwrap().headers()[header::ETAG].to_str().unwrap().to_owned();
        let again = assets.answer("/", &headers(&[(header::IF_NONE_MATCH, &tag)])).unwrap();
        assert_eq!((again.status(), body(again).len()), (StatusCode::NOT_MODIFIED, 0));
        let other = assets.answer("/", &headers(&[(header::IF_NONE_MATCH, "\"other\"")])).unwrap();
        assert_eq!(other.status(), StatusCode::OK);
        assert!(assets.answer("/../Cargo.toml", &headers(&[])).is_none());
    }

    /// What the policy forbids would be broken in every browser.
    #[test]
    fn the_page_has_nothing_inline_and_nothing_from_elsewhere() {
        let (_, _, page) = FILES[0];
        let page = std::str::from_utf8(page).unwrap();
        assert!(!page.contains("<style") && !page.contains("style=") && !page.contains("http"), "{page}");
        for script in page.split("<script").skip(1) {
            assert!(script.contains(" src=\"./") && script.contains("></script>"), "{script}");
        }
    }
}
