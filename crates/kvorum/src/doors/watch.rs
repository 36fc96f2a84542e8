//! The Watch service: a session of the member's own for each stream, so watch ids are the
//! member's to give.

use etcdpb::pb::etcdserverpb as pb;
use etcdpb::to_status;
use futures_util::stream::unfold;
use tonic::codegen::BoxStream;
use tonic::{Result, Streaming};

use super::console::Stream;
use super::{Doors, in_etcds_words, wants_leader};

/// Both directions of one gRPC stream.
struct Both {
    requests: Streaming<pb::WatchRequest>,
    /// The client says nothing more. It still listens.
    silent: bool,
    stream: Stream,
}

#[tonic::async_trait]
impl pb::watch_server::Watch for Doors {
    type WatchStream = BoxStream<pb::WatchResponse>;

    async fn watch(
        &self,
        request: tonic::Request<Streaming<pb::WatchRequest>>,
    ) -> Result<tonic::Response<Self::WatchStream>> {
        let (console, leader) =
            (self.console(request.metadata())?, wants_leader(request.metadata()));
        let stream = console.open(leader).await.map_err(|error| to_status(&error))?;
        let both = Both { requests: request.into_inner(), silent: false, stream };
        let answers = unfold(Some(both), async |both| {
            let mut both = both?;
            let answer = both.next().await;
            let last = answer.is_err();
            Some((answer, (!last).then_some(both)))
        });
        Ok(tonic::Response::new(Box::pin(answers)))
    }
}

impl Both {
    /// Passes requests on until there is an answer.
    async fn next(&mut self) -> Result<pb::WatchResponse> {
        loop {
            tokio::select! {
                request = self.requests.message(), if !self.silent => match request {
                    // A message that asks nothing is ignored, as in etcd.
                    Ok(Some(request)) => {
                        if let Ok(request) = request.try_into() {
                            self.stream.say(request);
                        }
                    }
                    Ok(None) => self.silent = true,
                    Err(status) => return Err(in_etcds_words(status)),
                },
                answer = self.stream.next() => {
                    return answer.map(Into::into).map_err(|error| to_status(&error));
                }
            }
        }
    }
}
