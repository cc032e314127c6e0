//! Where a VM is after a migration, told from both ends. Return codes do not say it: a call can fail after
//! the VM has moved, and succeed at the client while the daemons still work.

/// A VM as one end sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// Unknown there.
    Absent,
    /// Defined there, not running.
    Off,
    /// Its process has died; the definition or a crashed shell is left.
    Crashed,
    /// Runs there.
    Running,
    /// Runs there and still fetches memory from the source.
    RunningPostcopy,
    /// Stands still by someone's wish.
    Paused,
    /// Stands still because a migration is under way: the shell at a destination, or a source in hand-over.
    PausedForMigration,
    /// A source whose VM runs at the destination before all memory is there (or whose stream broke then).
    PausedPostcopy,
    /// Could not be asked; why.
    Unreachable(String),
}

/// Both ends of a migration, asked at nearly the same time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ends {
    /// The host the VM comes from.
    pub source: End,
    /// The host it goes to.
    pub destination: End,
    /// The source still migrates the VM out.
    pub source_job: bool,
}

/// A VM as this host sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Presence {
    /// How it is.
    pub end: End,
    /// A start that this agent has asked for has not come back: a VM that is off may run in a moment.
    pub starting: bool,
}

/// What both ends together mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The VM is at the destination and nowhere else.
    Done,
    /// The VM is at the source as before; may be tried again.
    Failed,
    /// Like `Failed`, but an empty shell stands at the destination. It goes by itself when its daemon wakes;
    /// nothing of that name may be sent there before, and it must never be resumed.
    FailedShellLeft,
    /// Under way: ask again.
    Going,
    /// Halves of the VM are on both hosts: ask again, destroy neither.
    Postcopy,
    /// It was shut down, destroyed or crashed meanwhile: do not start it.
    Ended,
    /// On neither host: alarm.
    Lost,
    /// Runs on both: alarm, touch nothing.
    SplitBrain,
    /// One end cannot be asked: count the VM at both, ask again, never start it elsewhere on that ground.
    Uncertain,
}

/// Judges both ends.
pub fn verdict(ends: &Ends) -> Verdict {
    use End::{
        Absent, Crashed, Off, Paused, PausedForMigration, PausedPostcopy, Running, RunningPostcopy,
        Unreachable,
    };
    match (&ends.source, &ends.destination) {
        (Unreachable(_), _) | (_, Unreachable(_)) => Verdict::Uncertain,
        (Running, Running) => Verdict::SplitBrain,
        (Paused, Running) => {
            if ends.source_job {
                Verdict::Going
            } else {
                Verdict::SplitBrain
            }
        }
        (PausedPostcopy | RunningPostcopy, _) | (_, RunningPostcopy | PausedPostcopy) => Verdict::Postcopy,
        // A VM that someone suspended on its way arrives suspended.
        (Absent | Off | Crashed, Running | Paused) => Verdict::Done,
        // A shell without a source is finishing or about to go; a source that stands still for the migration
        // is in hand-over: the destination has resumed, or is about to.
        (Absent | Off | Crashed, PausedForMigration) | (PausedForMigration, _) => Verdict::Going,
        (Running | Paused, _) if ends.source_job => Verdict::Going,
        (Running | Paused, PausedForMigration | Paused) => Verdict::FailedShellLeft,
        (Running | Paused, Absent | Off | Crashed) => Verdict::Failed,
        (Absent, Absent) => Verdict::Lost,
        (Absent | Off | Crashed, Absent | Off | Crashed) => Verdict::Ended,
    }
}

#[cfg(test)]
mod tests {
    use super::{End::*, *};

    fn judge(source: End, destination: End, source_job: bool) -> Verdict {
        verdict(&Ends { source, destination, source_job })
    }
    fn silent() -> End {
        Unreachable("no answer in 3 s".into())
    }

    #[test]
    fn gone_from_the_source_and_running_there_is_done() {
        assert_eq!(judge(Absent, Running, false), Verdict::Done);
        assert_eq!(judge(Off, Running, false), Verdict::Done);
        assert_eq!(judge(Absent, Paused, false), Verdict::Done, "suspended on its way");
    }

    #[test]
    fn running_here_and_not_there_has_failed() {
        assert_eq!(judge(Running, Absent, false), Verdict::Failed);
        assert_eq!(judge(Running, Off, false), Verdict::Failed);
        assert_eq!(judge(Paused, Absent, false), Verdict::Failed);
    }

    #[test]
    fn a_job_and_a_shell_are_still_going() {
        assert_eq!(judge(Running, PausedForMigration, true), Verdict::Going);
        assert_eq!(judge(Running, Absent, true), Verdict::Going, "the shell is not there yet");
        assert_eq!(judge(PausedForMigration, Running, true), Verdict::Going, "hand-over");
        assert_eq!(judge(Absent, PausedForMigration, false), Verdict::Going);
    }

    #[test]
    fn a_shell_without_a_job_has_failed_and_is_left_alone() {
        assert_eq!(judge(Running, PausedForMigration, false), Verdict::FailedShellLeft);
    }

    #[test]
    fn post_copy_waits() {
        assert_eq!(judge(PausedPostcopy, RunningPostcopy, true), Verdict::Postcopy);
        assert_eq!(judge(PausedPostcopy, Running, false), Verdict::Postcopy);
        assert_eq!(judge(Absent, RunningPostcopy, false), Verdict::Postcopy);
    }

    #[test]
    fn on_neither_host_is_lost() {
        assert_eq!(judge(Absent, Absent, false), Verdict::Lost);
    }

    #[test]
    fn off_means_someone_ended_it() {
        assert_eq!(judge(Off, Absent, false), Verdict::Ended);
        assert_eq!(judge(Absent, Off, false), Verdict::Ended);
        assert_eq!(judge(Crashed, Absent, false), Verdict::Ended);
    }

    #[test]
    fn running_twice_is_a_split_brain() {
        assert_eq!(judge(Running, Running, false), Verdict::SplitBrain);
        assert_eq!(judge(Running, Running, true), Verdict::SplitBrain);
        assert_eq!(judge(Paused, Running, false), Verdict::SplitBrain, "the source could be resumed");
    }

    #[test]
    fn an_end_that_cannot_be_asked_leaves_it_uncertain() {
        let ends =
            [Absent, Off, Crashed, Running, RunningPostcopy, Paused, PausedForMigration, PausedPostcopy];
        for end in ends {
            assert_eq!(judge(end.clone(), silent(), false), Verdict::Uncertain);
            assert_eq!(judge(silent(), end, true), Verdict::Uncertain);
        }
    }

    #[test]
    fn nothing_is_done_unless_it_is_at_the_destination_only() {
        let all =
            [Absent, Off, Crashed, Running, RunningPostcopy, Paused, PausedForMigration, PausedPostcopy];
        for source in &all {
            for destination in &all {
                for job in [false, true] {
                    if judge(source.clone(), destination.clone(), job) == Verdict::Done {
                        assert!(matches!(destination, Running | Paused), "{source:?} {destination:?}");
                        assert!(matches!(source, Absent | Off | Crashed), "{source:?} {destination:?}");
                    }
                }
            }
        }
    }
}
