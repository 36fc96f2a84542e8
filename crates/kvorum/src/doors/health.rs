//! etcd's `/health` and `/version`, for probes and for curl.

use api::kv::RangeRequest;
use api::maintenance::{AlarmRequest, AlarmType};
use api::session::{Request, Response};
use api::{ETCD_CLUSTER_VERSION, ETCD_VERSION};
use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse, Response as HttpResponse};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, StatusCode};
use serde_json::json;
use tonic::metadata::MetadataMap;

use super::Doors;

/// Healthy is who has no alarm and answers a read: a linearizable one, or with
/// `?serializable=true` one of its own copy. `?exclude=NOSPACE` leaves that alarm out.
pub(super) async fn health(
    State(doors): State<Doors>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> HttpResponse {
    let metadata = MetadataMap::from_headers(headers);
    let query = query.unwrap_or_default();
    let asks = |name: &str, value: &str| {
        query.split('&').any(|pair| pair.split_once('=') == Some((name, value)))
    };
    match ail(&doors, &metadata, &asks).await {
        None => answer(StatusCode::OK, &json!({ "health": "true", "reason": "" })),
        Some(reason) => {
            answer(StatusCode::SERVICE_UNAVAILABLE, &json!({ "health": "false", "reason": reason }))
        }
    }
}

/// What is wrong, in etcd's words.
async fn ail(
    doors: &Doors,
    metadata: &MetadataMap,
    asks: &impl Fn(&str, &str) -> bool,
) -> Option<String> {
    match doors.call(metadata, Request::Alarm(AlarmRequest::default())).await {
        Ok(Response::Alarm(answer)) => {
            for alarm in answer.alarms {
                let name = match alarm.alarm {
                    AlarmType::NoSpace => "NOSPACE",
                    AlarmType::Corrupt => "CORRUPT",
                };
                if !asks("exclude", name) {
                    return Some(format!("ALARM {name}"));
                }
            }
        }
        Ok(_) => return Some(super::mismatch().message().into()),
        Err(status) => return Some(format!("RANGE ERROR:{}", status.message())),
    }
    let read = RangeRequest {
        // etcd's own probe reads this key, too.
        key: "health".into(),
        limit: 1,
        serializable: asks("serializable", "true"),
        ..RangeRequest::default()
    };
    let read = doors.call(metadata, Request::Range(read)).await;
    read.err().map(|status| format!("RANGE ERROR:{}", status.message()))
}

/// The versions of etcd whose API this is.
pub(super) async fn version() -> HttpResponse {
    let versions = json!({ "etcdserver": ETCD_VERSION, "etcdcluster": ETCD_CLUSTER_VERSION });
    answer(StatusCode::OK, &versions)
}

fn answer(status: StatusCode, body: &serde_json::Value) -> HttpResponse {
    (status, [(CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}
