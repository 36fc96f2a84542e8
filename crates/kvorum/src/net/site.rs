//! The page's files.

use std::path::Path;

use anyhow::{Context, Result};
use axum::Router;
use axum::extract::Request;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, HOST, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderName, HeaderValue, StatusCode};
use serde::Deserialize;
use tower_http::compression::CompressionLayer;
use tower_http::services::ServeDir;

/// Only what comes from here runs here, WebAssembly included, and nobody frames it.
const POLICY: &str = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; \
    style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self'; \
    worker-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'self'; \
    frame-ancestors 'none'; connect-src 'self'";

#[derive(Deserialize)]
struct BuildFile {
    build: String,
}

/// The build of the page in this directory; empty when there is no page.
pub(crate) fn build(site: Option<&Path>) -> Result<String> {
    let Some(site) = site else { return Ok(String::new()) };
    let path = site.join("build.json");
    let bytes = std::fs::read(&path)
        .with_context(|| format!("no page in --site {}: {}", site.display(), path.display()))?;
    let file: BuildFile = serde_json::from_slice(&bytes)
        .with_context(|| format!("cannot read {}", path.display()))?;
    Ok(file.build)
}

/// Serves the files of this directory, or says that there are none.
pub(crate) fn router(site: Option<&Path>) -> Router {
    match site {
        None => Router::new().fallback(no_page),
        Some(site) => Router::new()
            .fallback_service(ServeDir::new(site).precompressed_gzip())
            .layer(CompressionLayer::new())
            .layer(middleware::map_response(revalidate))
            .layer(middleware::from_fn(protect)),
    }
}

async fn no_page() -> impl IntoResponse {
    (StatusCode::NOT_FOUND, "there is no page here; give one with --site DIR\n")
}

/// Browsers keep the files and ask each time whether they are still the same.
async fn revalidate(mut response: Response) -> Response {
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}

async fn protect(request: Request, next: Next) -> Response {
    // Not every browser takes 'self' to mean WebSockets of the same host, too. The host was
    // checked before.
    let policy = match request.headers().get(HOST).and_then(|host| host.to_str().ok()) {
        Some(host) => format!("{POLICY} ws://{host}"),
        None => POLICY.to_owned(),
    };
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    if let Ok(policy) = HeaderValue::from_str(&policy) {
        headers.insert(CONTENT_SECURITY_POLICY, policy);
    }
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(
        HeaderName::from_static("cross-origin-opener-policy"),
        HeaderValue::from_static("same-origin"),
    );
    headers.insert(
        HeaderName::from_static("cross-origin-resource-policy"),
        HeaderValue::from_static("same-origin"),
    );
    response
}
