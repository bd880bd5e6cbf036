//! The page and what it needs, compiled in: nothing is read from a disk, nothing comes from elsewhere.

use std::hash::{DefaultHasher, Hash, Hasher};

use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};

/// One file of the page.
#[derive(Debug, Clone, Copy)]
pub struct Asset {
    /// Its address.
    pub path: &'static str,
    media_type: &'static str,
    body: &'static str,
}

/// All files of the page.
pub const ASSETS: [Asset; 6] = [
    Asset::new("/", "text/html; charset=utf-8", include_str!("../page/index.html")),
    Asset::new("/page.css", "text/css; charset=utf-8", include_str!("../page/page.css")),
    Asset::new("/page.js", "text/javascript; charset=utf-8", include_str!("../page/page.js")),
    Asset::new("/map.js", "text/javascript; charset=utf-8", include_str!("../page/map.js")),
    Asset::new("/favicon.svg", "image/svg+xml", include_str!("../page/favicon.svg")),
    Asset::new("/world.json", "application/json", include_str!("../data/world.json")),
];

impl Asset {
    const fn new(path: &'static str, media_type: &'static str, body: &'static str) -> Self {
        Self { path, media_type, body }
    }

    fn tag(&self) -> String {
        let mut hasher = DefaultHasher::new();
        self.body.hash(&mut hasher);
        format!("\"{:016x}\"", hasher.finish())
    }

    /// The file, or 304 where the browser has it.
    pub fn answer(&self, request: &HeaderMap) -> Response {
        let tag = self.tag();
        let known = request.get(header::IF_NONE_MATCH).is_some_and(|value| value == tag.as_str());
        let headers = [
            (header::CONTENT_TYPE, self.media_type.to_owned()),
            (header::CACHE_CONTROL, "no-cache".to_owned()),
            (header::ETAG, tag),
        ];
        if known { (StatusCode::NOT_MODIFIED, headers).into_response() } else { (headers, self.body).into_response() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_names_no_other_origin() {
        for asset in ASSETS {
            let foreign = asset.body.replace("http://www.w3.org/", "").contains("://");
            assert!(!foreign, "{} names another origin", asset.path);
        }
    }

    #[test]
    fn a_file_that_is_known_is_not_sent_again() {
        let mut request = HeaderMap::new();
        let first = ASSETS[0].answer(&request);
        let tag = first.headers().get(header::ETAG).expect("a tag").clone();
        request.insert(header::IF_NONE_MATCH, tag);
        assert_eq!(ASSETS[0].answer(&request).status(), StatusCode::NOT_MODIFIED);
    }
}
