//! The life of a member that this page holds the lock of.
//!
//! ```text
//!           start            first report           stop / hand over
//!  Held ───────────► Starting ──────────► Running ───────────► Leaving ──left──► Stopped
//!                     ▲   │                 │ │                   (in memory: Paused)
//!                     │   └──── crash ──────┤ └─ halted ─► Halted
//!                     │                     ▼
//!                     └──── a pause ───── Crashed      (in memory: Lost)
//! ```
//!
//! Whoever has the lock may start the Worker; nothing here frees the lock.

use crate::rules::backoff;

/// A member that ran so long has run well: crashes before that do not count any more.
pub const WELL_MS: u64 = 30_000;

/// Where a member keeps its data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Storage {
    /// In files of this browser.
    Files,
    /// In memory, because the browser refused files; why.
    Memory(String),
}

/// What a member of this page is up to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Not started yet: the hub must first say whose name it is.
    Held,
    /// Its Worker is started and has not reported.
    Starting,
    /// It reports.
    Running,
    /// It was asked to leave in order.
    Leaving,
    /// Someone stopped it. Its Worker has ended.
    Stopped,
    /// Someone stopped it, and its data is in its Worker's memory.
    Paused,
    /// Its Worker ended by itself and is started again.
    Crashed {
        /// In words.
        reason: String,
    },
    /// It stopped itself because going on could lose data.
    Halted(String),
    /// It cannot start, and trying again would not help.
    Failed(String),
    /// Its data was in memory and is gone.
    Lost,
}

/// What is known of a member of this page beside its reports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Life {
    /// What it is up to.
    pub phase: Phase,
    /// Where its data is, once it has said so.
    pub storage: Option<Storage>,
    /// Crashes since it last ran well.
    pub crashes: u32,
    /// When this run's first report came.
    pub runs_since: Option<u64>,
}

/// What happens to a member of this page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Happening {
    /// Its Worker was started.
    Started,
    /// It was asked to leave, or to pause.
    Asked,
    /// It reported.
    Reported,
    /// It said where its data is.
    Stores(Storage),
    /// It has left in order.
    Left,
    /// It is paused.
    Paused,
    /// It was paused and goes on.
    Resumed,
    /// It stopped itself.
    Halted(String),
    /// It could not start.
    Failed {
        /// In words.
        reason: String,
        /// Another try may help.
        again: bool,
    },
    /// Its Worker ended by itself.
    Crashed(String),
}

/// What the page has to do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Duty {
    /// Nothing.
    None,
    /// End the Worker.
    End,
    /// End the Worker and start another one after this pause.
    StartAfter(u32),
}

impl Default for Life {
    fn default() -> Self {
        Self { phase: Phase::Held, storage: None, crashes: 0, runs_since: None }
    }
}

impl Life {
    /// Its data is in memory: ending its Worker loses it.
    pub fn in_memory(&self) -> bool {
        matches!(self.storage, Some(Storage::Memory(_)))
    }

    /// It has a Worker.
    pub fn runs(&self) -> bool {
        matches!(self.phase, Phase::Starting | Phase::Running | Phase::Leaving)
    }

    /// It runs, or will again by itself: its data is in use.
    pub fn at_work(&self) -> bool {
        self.runs() || matches!(self.phase, Phase::Crashed { .. })
    }

    /// It takes requests.
    pub fn serving(&self) -> bool {
        self.phase == Phase::Running
    }

    /// `Stop` makes sense.
    pub fn can_stop(&self) -> bool {
        matches!(self.phase, Phase::Starting | Phase::Running | Phase::Crashed { .. })
    }

    /// `Restart` makes sense.
    pub fn can_restart(&self) -> bool {
        matches!(self.phase, Phase::Stopped | Phase::Paused | Phase::Halted(_) | Phase::Failed(_))
    }

    /// It does not run, and would not by itself: its log may be damaged.
    pub fn broken(&self) -> bool {
        matches!(self.phase, Phase::Halted(_) | Phase::Failed(_))
    }

    /// Takes what happened at a time in milliseconds, and says what follows.
    pub fn after(&mut self, now: u64, happening: Happening) -> Duty {
        match happening {
            Happening::Started => {
                self.runs_since = None;
                self.set(Phase::Starting)
            }
            Happening::Asked => self.set(Phase::Leaving),
            Happening::Resumed => self.set(Phase::Running),
            Happening::Reported if self.phase == Phase::Starting => {
                self.runs_since = Some(now);
                self.set(Phase::Running)
            }
            Happening::Reported => Duty::None,
            Happening::Stores(storage) => {
                self.storage = Some(storage);
                Duty::None
            }
            Happening::Left => self.end(Phase::Stopped),
            Happening::Paused => self.set(Phase::Paused),
            Happening::Halted(reason) => self.end(Phase::Halted(reason)),
            Happening::Failed { reason, again: false } => self.end(Phase::Failed(reason)),
            Happening::Failed { reason, again: true } | Happening::Crashed(reason) => {
                self.crashed(now, reason)
            }
        }
    }

    fn crashed(&mut self, now: u64, reason: String) -> Duty {
        if self.in_memory() {
            return self.end(Phase::Lost);
        }
        // A Worker that ends on its way out has left, too.
        if self.phase == Phase::Leaving {
            return self.end(Phase::Stopped);
        }
        if self.runs_since.take().is_some_and(|since| now.saturating_sub(since) >= WELL_MS) {
            self.crashes = 0;
        }
        self.crashes = self.crashes.saturating_add(1);
        self.phase = Phase::Crashed { reason };
        Duty::StartAfter(backoff::WORKER.pause_ms(self.crashes))
    }

    fn set(&mut self, phase: Phase) -> Duty {
        self.phase = phase;
        Duty::None
    }

    fn end(&mut self, phase: Phase) -> Duty {
        self.phase = phase;
        Duty::End
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn running() -> Life {
        let mut life = Life::default();
        life.after(0, Happening::Started);
        life.after(0, Happening::Stores(Storage::Files));
        life.after(0, Happening::Reported);
        assert_eq!(life.phase, Phase::Running);
        life
    }

    #[test]
    fn a_crash_starts_again_after_growing_pauses() {
        let mut life = running();
        let crash = || Happening::Crashed("trap".into());
        assert_eq!(life.after(1, crash()), Duty::StartAfter(250));
        life.after(251, Happening::Started);
        assert_eq!(life.after(252, crash()), Duty::StartAfter(500), "before any report");
        life.after(752, Happening::Started);
        life.after(800, Happening::Reported);
        assert_eq!(life.after(801, crash()), Duty::StartAfter(1000), "soon after a report");
        life.after(1801, Happening::Started);
        life.after(2000, Happening::Reported);
        assert_eq!(life.after(1999 + WELL_MS, crash()), Duty::StartAfter(2000));
        life.after(4000 + WELL_MS, Happening::Started);
        assert_eq!(life.after(9 * WELL_MS, crash()), Duty::StartAfter(4000), "it never ran");
    }

    #[test]
    fn a_run_that_went_well_forgets_the_crashes_before_it() {
        let mut life = running();
        for now in [1, 2, 3] {
            life.after(now, Happening::Crashed("trap".into()));
            life.after(now, Happening::Started);
        }
        life.after(100, Happening::Reported);
        life.after(20_000, Happening::Reported);
        let crash = Happening::Crashed("trap".into());
        assert_eq!(life.after(100 + WELL_MS, crash), Duty::StartAfter(250));
    }

    #[test]
    fn a_halted_or_refused_start_is_final() {
        let mut life = running();
        assert_eq!(life.after(0, Happening::Halted("sync failed".into())), Duty::End);
        assert!(life.can_restart() && !life.can_stop());
        let mut life = running();
        let failed = Happening::Failed { reason: "log is damaged".into(), again: false };
        assert_eq!(life.after(0, failed), Duty::End);
        assert_eq!(life.phase, Phase::Failed("log is damaged".into()));
    }

    #[test]
    fn a_start_that_may_work_later_is_tried_again() {
        let mut life = Life::default();
        life.after(0, Happening::Started);
        let failed = Happening::Failed { reason: "file is taken".into(), again: true };
        assert_eq!(life.after(0, failed), Duty::StartAfter(250));
    }

    #[test]
    fn what_was_in_memory_is_lost_with_its_worker() {
        let mut life = running();
        life.after(0, Happening::Stores(Storage::Memory("private window".into())));
        assert_eq!(life.after(0, Happening::Crashed("trap".into())), Duty::End);
        assert_eq!(life.phase, Phase::Lost);
        assert!(!life.can_restart() && !life.can_stop());
    }

    #[test]
    fn leaving_in_order_ends_stopped_even_if_the_worker_ends_first() {
        for last in [Happening::Left, Happening::Crashed("ended".into())] {
            let mut life = running();
            life.after(0, Happening::Asked);
            assert_eq!(life.after(0, last), Duty::End);
            assert_eq!(life.phase, Phase::Stopped);
        }
    }

    #[test]
    fn a_member_in_memory_pauses_and_goes_on_without_ending_its_worker() {
        let mut life = running();
        life.after(0, Happening::Stores(Storage::Memory("refused".into())));
        life.after(0, Happening::Asked);
        assert_eq!(life.after(0, Happening::Paused), Duty::None);
        assert!(life.can_restart());
        assert_eq!(life.after(0, Happening::Resumed), Duty::None);
        assert_eq!(life.phase, Phase::Running);
    }

    #[test]
    fn a_member_is_at_work_until_it_rests_for_good() {
        let mut life = Life::default();
        assert!(!life.at_work(), "held");
        let crash = Happening::Crashed("trap".into());
        for happening in [Happening::Started, crash, Happening::Started, Happening::Asked] {
            life.after(0, happening);
            assert!(life.at_work(), "{life:?}");
        }
        life.after(0, Happening::Left);
        assert!(!life.at_work());
    }

    #[test]
    fn a_late_report_does_not_wake_a_stopped_member() {
        let mut life = running();
        life.after(0, Happening::Asked);
        life.after(0, Happening::Left);
        life.after(0, Happening::Reported);
        assert_eq!(life.phase, Phase::Stopped);
    }
}
