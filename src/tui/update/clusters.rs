//! Clusters, and starting heavy work.

use crate::tui::event::{ClusterItem, Effect, Work};
use crate::tui::overlay::Prompt;
use crate::tui::source::{Seek, Source};
use crate::tui::state::State;
use snapseek_index::query::quoted;

impl State {
    fn group(&self) -> Option<&ClusterItem> {
        self.clusters.groups.as_ref()?.groups.get(self.clusters.at)
    }

    pub(in crate::tui) fn step_cluster(&mut self, by: isize) {
        let count = self.clusters.groups.as_ref().map_or(0, |groups| groups.groups.len());
        self.clusters.at = self.clusters.at.saturating_add_signed(by).min(count.saturating_sub(1));
    }

    pub(in crate::tui) fn step_cluster_to(&mut self, at: usize) {
        self.clusters.at = 0;
        self.step_cluster(isize::try_from(at).unwrap_or(isize::MAX));
    }

    /// Shows the photos of the cluster as a query that the user can extend.
    pub(in crate::tui) fn open_cluster(&mut self, effects: &mut Vec<Effect>) {
        let Some(group) = self.group() else { return };
        let name = quoted(&group.name);
        self.go(Source::Query(Seek::text(format!("cluster:{name} "))), effects);
    }

    pub(in crate::tui) fn split_cluster(&mut self, effects: &mut Vec<Effect>) {
        let Some(id) = self.group().map(|group| group.id) else { return };
        self.work_on(Work::Split(id), effects);
    }

    pub(in crate::tui) fn rename_cluster(&mut self) {
        let Some(name) = self.group().map(|group| group.name.clone()) else { return };
        self.prompt(Prompt::Rename(name.clone()), &name);
    }

    pub(in crate::tui) fn make_clusters(&mut self, effects: &mut Vec<Effect>) {
        if self.is_empty() {
            return self.tell("there are no photos yet");
        }
        self.clusters.error = None;
        self.clusters.tried = true;
        self.work_on(Work::Cluster(None), effects);
    }

    /// Starts heavy work; it replaces the work that is running.
    pub(in crate::tui) fn work_on(&mut self, work: Work, effects: &mut Vec<Effect>) {
        let generation = self.next_generation();
        self.work = Some((generation, None));
        effects.push(Effect::Work(generation, work));
    }

    /// Notes that heavy work has ended; returns whether it was the current one.
    pub(in crate::tui) fn ends(&mut self, generation: u64) -> bool {
        let ends = self.work.is_some_and(|(current, _)| current == generation);
        if ends {
            self.work = None;
        }
        ends
    }
}
