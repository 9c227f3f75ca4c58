//! The places of the terminal UI.

/// A place: it decides what fills the screen and which keys work.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Place {
    /// Query and results.
    #[default]
    Search,
    /// One photo, large.
    Look,
    /// Clusters.
    Clusters,
    /// The map.
    Map,
    /// Photos sorted by labels.
    Classify,
    /// A chat about a photo.
    Chat,
    /// The library's folders, and indexing.
    Index,
    /// The start page, folders and the timeline.
    Browse,
    /// Copies of one picture, and which are kept.
    Duplicates,
    /// Models: those that are installed and those that can be.
    Models,
}

impl Place {
    /// The places in the bar at the top, in its order.
    pub const TABS: [Self; 6] = [Self::Search, Self::Clusters, Self::Map, Self::Classify, Self::Chat, Self::Index];
    /// All places.
    pub const ALL: [Self; 10] = [
        Self::Search,
        Self::Look,
        Self::Clusters,
        Self::Map,
        Self::Classify,
        Self::Chat,
        Self::Index,
        Self::Browse,
        Self::Duplicates,
        Self::Models,
    ];

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Search => "Search",
            Self::Look => "Look",
            Self::Clusters => "Clusters",
            Self::Map => "Map",
            Self::Classify => "Classify",
            Self::Chat => "Chat",
            Self::Index => "Index",
            Self::Browse => "Browse",
            Self::Duplicates => "Duplicates",
            Self::Models => "Models",
        }
    }
}
