//! What the server counts, under etcd's names, for `/metrics`.

use std::sync::Arc;
use std::time::Duration;

use api::report::{MemberReport, Role};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::CONTENT_TYPE;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

const TEXT: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// etcd's buckets: from 1 ms, doubling, 14 of them.
const FIRST_BUCKET_SECONDS: f64 = 0.001;
const BUCKETS: u16 = 14;

/// All counters of one server. Clones count together.
#[derive(Clone)]
pub(crate) struct Metrics {
    registry: Arc<Registry>,
    syncs: Histogram,
    has_leader: Gauge,
    is_leader: Gauge,
    committed: Gauge,
    applied: Gauge,
}

impl Metrics {
    /// All at zero.
    pub(crate) fn new() -> Self {
        let buckets = exponential_buckets(FIRST_BUCKET_SECONDS, 2.0, BUCKETS);
        let metrics = Self {
            registry: Arc::default(),
            syncs: Histogram::new(buckets),
            has_leader: Gauge::default(),
            is_leader: Gauge::default(),
            committed: Gauge::default(),
            applied: Gauge::default(),
        };
        Self { registry: Arc::new(metrics.register()), ..metrics }
    }

    fn register(&self) -> Registry {
        let mut registry = Registry::default();
        let syncs = self.syncs.clone();
        let about = "How long syncs of the log take";
        registry.register("etcd_disk_wal_fsync_duration_seconds", about, syncs);
        let gauges = [
            ("etcd_server_has_leader", "Whether a leader is known", &self.has_leader),
            ("etcd_server_is_leader", "Whether this member leads", &self.is_leader),
            ("etcd_server_proposals_committed_total", "Last committed index", &self.committed),
            ("etcd_server_proposals_applied_total", "Last applied index", &self.applied),
        ];
        for (name, about, gauge) in gauges {
            registry.register(name, about, gauge.clone());
        }
        registry
    }

    /// The log was synced.
    pub(crate) fn synced(&self, took: Duration) {
        self.syncs.observe(took.as_secs_f64());
    }

    /// The member shows something new of itself.
    pub(crate) fn reported(&self, report: &MemberReport) {
        let index = |index: u64| i64::try_from(index).unwrap_or(i64::MAX);
        self.has_leader.set(i64::from(report.leader.is_some()));
        self.is_leader.set(i64::from(report.role == Role::Leader));
        self.committed.set(index(report.commit));
        self.applied.set(index(report.applied));
    }

    /// All of them, in the text that Prometheus reads.
    pub(crate) fn page(&self) -> Response {
        let mut text = String::new();
        match encode(&mut text, &self.registry) {
            Ok(()) => ([(CONTENT_TYPE, TEXT)], text).into_response(),
            Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
        }
    }
}
