//! Errors as gRPC carries them: a code and a text, and nothing else.

use api::Error;
use tonic::{Code, Status};

/// The status that tells a client of this error, with etcd's code and text.
pub fn to_status(error: &Error) -> Status {
    Status::new(Code::from_i32(error.code() as i32), error.text())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_has_etcds_code_and_text_and_nothing_else() {
        let status = to_status(&Error::FutureRev);
        assert_eq!(status.code(), Code::OutOfRange);
        assert_eq!(status.message(), "etcdserver: mvcc: required revision is a future revision");
        assert!(status.details().is_empty() && status.metadata().is_empty());
        let own = to_status(&Error::Unavailable("open the page".into()));
        assert_eq!((own.code(), own.message()), (Code::Unavailable, "open the page"));
    }
}
