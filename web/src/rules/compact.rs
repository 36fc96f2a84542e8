//! What came of a compaction, in words.

use api::{Code, Error};

use crate::rules::fate;

/// It is not known whether the compaction is done; asking for the same one again tells.
pub fn is_unknown(result: Result<(), &Error>) -> bool {
    result.is_err_and(|error| error.code() == Code::Unavailable)
}

/// In words, good or bad.
pub fn words(revision: i64, result: Result<(), &Error>) -> Result<String, String> {
    match result {
        Ok(()) => Ok(format!("Compacted at revision {revision}: what is older is dropped.")),
        // By this page, too, if it took longer than a request may.
        Err(Error::Compacted) => Ok(format!(
            "Compacted at revision {revision} already; what is older is dropped by and by."
        )),
        Err(error) => Err(fate::of_failed_write("Compact", error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_compaction_says_at_which_revision() {
        let done = "Compacted at revision 8: what is older is dropped.";
        assert_eq!(words(8, Ok(())), Ok(done.into()));
    }

    #[test]
    fn one_that_took_too_long_is_asked_for_again_and_found_done() {
        assert!(is_unknown(Err(&Error::Timeout)) && !is_unknown(Err(&Error::Compacted)));
        assert!(!is_unknown(Ok(())));
        assert!(words(8, Err(&Error::Compacted)).is_ok_and(|words| words.contains("already")));
    }

    #[test]
    fn a_failure_is_told_in_etcds_words() {
        let why = "Compact: etcdserver: request timed out. It may have been done all the same.";
        assert_eq!(words(8, Err(&Error::Timeout)), Err(why.into()));
    }
}
