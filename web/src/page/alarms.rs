//! The alarms of the cluster: they are looked at, and disarmed.

use std::time::Duration;

use api::maintenance::{AlarmAction, AlarmMember, AlarmRequest, AlarmType};
use api::session::{Request, Response};
use leptos::prelude::*;
use wasm_bindgen_futures::spawn_local;

use super::{Page, course};
use crate::browser::time;
use crate::rules::course::Course;
use crate::rules::{alarm, fate};

/// Others raise and disarm them, too.
const LOOK_MS: u32 = 5000;

/// A write is refused a moment before the alarm is raised.
const RAISED: Duration = Duration::from_millis(300);

impl Page {
    /// Keeps up with the alarms, as long as the page is open.
    pub(super) fn watch_alarms(self) {
        Effect::new(move |_| {
            self.reroutes.track();
            self.led.track();
            spawn_local(self.look_at_alarms());
        });
        spawn_local(async move {
            loop {
                time::sleep(LOOK_MS).await;
                self.look_at_alarms().await;
            }
        });
    }

    /// Looks at the alarms, if there is somebody to tell. A status tells them, and costs nothing:
    /// etcd's own list of alarms is written to the log of every member.
    pub(super) async fn look_at_alarms(self) {
        if !self.led.get_untracked() || !self.has_route() {
            return;
        }
        if let Ok(Response::Status(status)) = self.ask(&Request::Status).await.result {
            let raised = alarm::raised(&status.errors);
            if self.alarms.get_untracked() != raised {
                self.alarms.set(raised);
            }
        }
    }

    /// An alarm is why a request was refused.
    pub(super) fn met_an_alarm(self) {
        set_timeout(move || spawn_local(self.look_at_alarms()), RAISED);
    }

    /// The alarms that were seen last, by the names of the members.
    pub(super) fn alarms(self) -> Vec<(String, AlarmType)> {
        let named = |raised: &AlarmMember| (self.called(raised.member_id), raised.alarm);
        self.alarms.with(|alarms| alarms.iter().map(named).collect())
    }
}

/// Says that there is room again. Copies are the same.
#[derive(Clone, Copy)]
pub(crate) struct Disarm {
    page: Page,
    /// How it goes.
    pub(crate) course: RwSignal<Course>,
}

impl Disarm {
    pub(crate) fn new(page: Page) -> Self {
        Self { page, course: RwSignal::default() }
    }

    /// Disarms each NOSPACE that is raised.
    pub(crate) async fn start(self) {
        course::follow(self.course, "Disarming…", self.run()).await;
    }

    async fn run(self) -> Result<String, String> {
        for AlarmMember { member_id, alarm } in self.page.alarms.get_untracked() {
            if alarm == AlarmType::NoSpace {
                let action = AlarmAction::Deactivate;
                let request = AlarmRequest { action, member_id, alarm: Some(alarm) };
                let answer = self.page.ask(&Request::Alarm(request)).await;
                answer.result.map_err(|error| fate::of_failed_write("Disarm", &error))?;
            }
        }
        self.page.look_at_alarms().await;
        Ok("Disarmed; where room still lacks the alarm is raised again.".into())
    }
}
