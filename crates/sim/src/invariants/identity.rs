//! Identity: a member on its own directory is never refused and never halts; one whose directory
//! was wiped or rolled back is refused once its peers see it (that is asked at a life's end).

use api::report::{MemberReport, Role};

use super::{Check, ensure};

const NAME: &str = "identity";

/// Looks at a member on its own directory.
///
/// # Errors
/// If it is refused or has halted.
pub fn check(place: &str, report: Option<&MemberReport>) -> Check {
    let role = report.map(|report| &report.role);
    ensure(!matches!(role, Some(Role::Refused(_) | Role::Halted(_))), NAME, || {
        format!("{place} is itself and may not serve: {role:?}")
    })
}

/// Looks at a member on a directory that is not its own any more, when its peers have seen it.
///
/// # Errors
/// If it is not refused.
pub fn check_impostor(place: &str, what: &str, report: Option<&MemberReport>) -> Check {
    let role = report.map(|report| &report.role);
    ensure(matches!(role, Some(Role::Refused(_))), NAME, || {
        format!("{place} runs on a directory that was {what} and is not refused: {role:?}")
    })
}
