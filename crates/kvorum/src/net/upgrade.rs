//! HTTP requests that become WebSockets.

use axum::body::Body;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use hyper::upgrade::{self, Upgraded};
use hyper_util::rt::TokioIo;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::server::create_response_with_body;
use tokio_tungstenite::tungstenite::protocol::Role;

use super::socket;

/// A WebSocket that was an HTTP request.
pub(crate) type Accepted = WebSocketStream<TokioIo<Upgraded>>;

/// The answer to a request for a WebSocket, which `serve` gets when the answer has been sent.
pub(crate) fn upgrade<F>(
    mut request: Request,
    serve: impl FnOnce(Accepted) -> F + Send + 'static,
) -> Response
where
    F: Future<Output = ()> + Send + 'static,
{
    let response = match create_response_with_body(&request, Body::empty) {
        Ok(response) => response,
        Err(error) => {
            let text = format!("this is a place for WebSockets: {error}\n");
            return (StatusCode::BAD_REQUEST, text).into_response();
        }
    };
    let upgraded = upgrade::on(&mut request);
    tokio::spawn(async move {
        // Whoever does not wait for the answer needs no socket.
        if let Ok(upgraded) = upgraded.await {
            let (stream, config) = (TokioIo::new(upgraded), Some(socket::config()));
            serve(WebSocketStream::from_raw_socket(stream, Role::Server, config).await).await;
        }
    });
    response
}
