//! Alarms, as a member's status tells of them: `memberID:7 alarm:NOSPACE `.

use api::Error;
use api::maintenance::{AlarmMember, AlarmType};

/// Those that are among the errors of a status.
pub fn raised(errors: &[String]) -> Vec<AlarmMember> {
    errors.iter().filter_map(|error| alarm(error)).collect()
}

fn alarm(error: &str) -> Option<AlarmMember> {
    let field = |name: &str| error.split_whitespace().find_map(|word| word.strip_prefix(name));
    let alarm = match field("alarm:")? {
        "NOSPACE" => AlarmType::NoSpace,
        "CORRUPT" => AlarmType::Corrupt,
        _ => return None,
    };
    Some(AlarmMember { member_id: field("memberID:")?.parse().ok()?, alarm })
}

/// An alarm is why a request was refused.
pub fn refused(error: &Error) -> bool {
    matches!(error, Error::NoSpace | Error::Corrupt)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alarms_are_found_among_the_errors_of_a_status() {
        let errors = [
            "etcdserver: no leader",
            "memberID:18446744073709551615 alarm:NOSPACE ",
            // How many blanks etcd writes differs from program to program.
            "memberID:2  alarm:CORRUPT",
            "memberID:3 alarm:OTHER ",
            "alarm:NOSPACE",
        ];
        let found = raised(&errors.map(String::from));
        let no_space = AlarmMember { member_id: u64::MAX, alarm: AlarmType::NoSpace };
        let corrupt = AlarmMember { member_id: 2, alarm: AlarmType::Corrupt };
        assert_eq!(found, [no_space, corrupt]);
    }

    #[test]
    fn only_some_refusals_come_from_an_alarm() {
        assert!(refused(&Error::NoSpace) && refused(&Error::Corrupt));
        assert!(!refused(&Error::TooManyRequests));
    }
}
