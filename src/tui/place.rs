//! The places of the terminal UI.

/// A place: what fills the screen, and which keys count.
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
    /// Photos by labels.
    Classify,
    /// A conversation about a photo.
    Chat,
    /// The library's folders, and indexing.
    Index,
}

impl Place {
    /// Those that the bar at the top names, in its order.
    pub const TABS: [Self; 6] = [Self::Search, Self::Clusters, Self::Map, Self::Classify, Self::Chat, Self::Index];
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::Search, Self::Look, Self::Clusters, Self::Map, Self::Classify, Self::Chat, Self::Index];

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
        }
    }
}
