//! Everything that a key can do: its name in the config, its text in help and palette, its keys, and the places where
//! it works.

use super::browse::BrowseKind;
use super::place::Place;
use crate::model::Bits;
use snapseek_index::Order;

/// What a key does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)] // `ACTIONS` describes each of them.
pub enum Action {
    Quit,
    Suspend,
    Help,
    Palette,
    Leave,
    Back,
    Undo,
    Redo,
    Go(Place),
    NextPlace,
    PreviousPlace,
    Refresh,
    EditQuery,
    NextTheme,
    Left,
    Down,
    Up,
    Right,
    PageUp,
    PageDown,
    First,
    Last,
    Center,
    Look,
    Pick,
    Mark,
    MarkRange,
    MarkAll,
    InvertMarks,
    UnmarkAll,
    ShowMarked,
    Sort,
    SortBy(Sorting),
    Facts,
    Filters,
    EditCaption,
    ReadText,
    ReadAllTexts,
    ClearText,
    MakeCaptions,
    ClearCaption,
    FailureDetails,
    RetryFailures,
    SaveSearch,
    Browse(BrowseKind),
    OpenRow,
    Unfold,
    DeleteSearch,
    Forget,
    ForgetFolder,
    Slideshow,
    NextInStack,
    PreviousInStack,
    Beside,
    FurtherBeside,
    EditTags,
    RateMenu,
    Rate(Option<i8>),
    AddToAlbum,
    RemoveFromAlbum,
    OpenAlbum,
    MoreLikeThis,
    LessLikeThis,
    Earlier,
    Later,
    ToggleList,
    TogglePreview,
    Larger,
    Smaller,
    ToggleRest,
    View,
    CopyPath,
    CopyText,
    Reveal,
    Export,
    AskAboutPhoto,
    FullScreen,
    OpenCluster,
    SplitCluster,
    RenameCluster,
    MakeClusters,
    ZoomIn,
    ZoomOut,
    ExactSize,
    WholePhoto,
    NextPhoto,
    PreviousPhoto,
    Box,
    OpenBox,
    EditLabels,
    ChooseSet,
    SaveSet,
    NextLabel,
    PreviousLabel,
    ShowLabel,
    Ask,
    AskAgain,
    SaveChat,
    ClearChat,
    FindDuplicates,
    KeepOrDrop,
    KeepOnly,
    KeepAll,
    KeepAsProposed,
    WriteScript,
    PullModel,
    VerifyModel,
    QuantizeModel,
    Quantize(Bits),
    UseModel,
    DropModel,
    AddFolder,
    IndexNow,
    CancelWork,
    ToggleWatch,
}

/// A choice in the menu for sorting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Sorting {
    /// This order, not reversed.
    By(Order),
    /// The order that is, the other way round.
    Reversed,
}

/// A menu: a few actions, each with a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Menu {
    /// What photos are sorted by.
    Sort,
    /// Ratings.
    Rate,
    /// How small a smaller form of a model is made.
    Quantize,
}

impl Menu {
    /// Its title, with which the descriptions of its actions may begin.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Sort => "Sort by",
            Self::Rate => "Rate",
            Self::Quantize => "Make a smaller form",
        }
    }

    /// Its actions with their keys.
    #[must_use]
    pub fn actions(self) -> &'static [(char, Action)] {
        match self {
            Self::Sort => &[
                ('b', Action::SortBy(Sorting::By(Order::Best))),
                ('d', Action::SortBy(Sorting::By(Order::Date))),
                ('n', Action::SortBy(Sorting::By(Order::Name))),
                ('s', Action::SortBy(Sorting::By(Order::Size))),
                ('p', Action::SortBy(Sorting::By(Order::Path))),
                ('r', Action::SortBy(Sorting::By(Order::Rating))),
                ('R', Action::SortBy(Sorting::Reversed)),
            ],
            Self::Quantize => &[('4', Action::Quantize(Bits::Four)), ('8', Action::Quantize(Bits::Eight))],
            Self::Rate => &[
                ('1', Action::Rate(Some(1))),
                ('2', Action::Rate(Some(2))),
                ('3', Action::Rate(Some(3))),
                ('4', Action::Rate(Some(4))),
                ('5', Action::Rate(Some(5))),
                ('0', Action::Rate(Some(0))),
                ('x', Action::Rate(Some(-1))),
                ('f', Action::Rate(None)),
            ],
        }
    }
}

/// Other words by which an action is looked for: as other programs call it.
pub const ALIASES: &[(&str, &str)] = &[
    ("clear-chat", "delete remove forget conversation history"),
    ("clear-caption", "delete remove"),
    ("read-text", "ocr recognise words scan"),
    ("read-texts", "ocr recognise words scan receipts"),
    ("clear-text", "ocr remove words"),
    ("edit-caption", "describe comment note title"),
    ("unmark-all", "deselect clear selection none"),
    ("mark", "select toggle"),
    ("mark-range", "select visual"),
    ("mark-all", "select all"),
    ("show-marked", "selection"),
    ("add-to-album", "collection new album make"),
    ("open-album", "collections list"),
    ("remove-from-album", "delete collection"),
    ("filters", "narrow histogram timeline facets browse folders"),
    ("make-captions", "describe generate model"),
    ("forget", "delete remove trash photo"),
    ("forget-folder", "delete remove folder root"),
    ("beside", "compare two side by side"),
    ("slideshow", "play show presentation"),
    ("save-search", "query bookmark smart album"),
    ("go-start", "home begin recent bookmarks memories"),
    ("folders", "tree directories"),
    ("timeline", "years months calendar histogram dates"),
    ("undo", "revert restore back"),
    ("redo", "again repeat"),
    ("tag", "keyword label"),
    ("rate", "stars rating"),
    ("reject", "rate rating delete trash"),
    ("sort", "order arrange"),
    ("facts", "info metadata exif details properties"),
    ("go-index", "model library status folders settings failed failures errors problems unreadable"),
    ("why", "failed failure error problem unreadable reason"),
    ("retry", "failed failures again"),
    ("add-folder", "import open new library"),
    ("index-now", "scan update rescan"),
    ("view", "open external"),
    ("reveal", "open folder finder explorer"),
    ("export", "save copy contact sheet"),
    ("go-models", "clip captioner download install pull better list"),
    ("pull-model", "install get fetch clip smolvlm"),
    ("use-model", "reindex switch change embed again captioner choose caption chat"),
    ("quantize-model", "compress shrink q4 q8 memory"),
    ("verify-model", "check checksum damaged"),
    ("go-duplicates", "same copies dedupe clean up tidy find"),
    ("trash-script", "delete remove duplicates tidy"),
    ("look", "open preview"),
    ("zoom-in", "magnify enlarge closer pan"),
    ("zoom-out", "smaller away"),
    ("exact-size", "actual original 100% 1:1 zoom"),
    ("whole-photo", "fit window reset zoom"),
    ("quit", "exit close"),
    ("next-theme", "colours colors dark light theme"),
];

/// An action as the user sees it.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// The action.
    pub action: Action,
    /// Its name in the config file.
    pub name: &'static str,
    /// Its description in help and palette.
    pub says: &'static str,
    /// Its default keys.
    pub keys: &'static [&'static str],
    /// The places where it works; empty: everywhere.
    pub places: &'static [Place],
}

const PHOTOS: &[Place] = &[Place::Search, Place::Classify];
const ONE: &[Place] = &[Place::Search, Place::Classify, Place::Look, Place::Map];
const MOVES: &[Place] = &[
    Place::Search,
    Place::Classify,
    Place::Look,
    Place::Map,
    Place::Clusters,
    Place::Index,
    Place::Chat,
    Place::Browse,
    Place::Duplicates,
    Place::Models,
];

macro_rules! entry {
    ($action:expr, $name:literal, $says:literal, [$($key:literal),*], $places:expr) => {
        Entry { action: $action, name: $name, says: $says, keys: &[$($key),*], places: $places }
    };
}

/// All actions, in the order in which help and palette list them.
pub const ACTIONS: &[Entry] = &[
    entry!(Action::EditQuery, "edit-query", "type a query", ["/", "i"], &[Place::Search]),
    entry!(Action::EditLabels, "edit-labels", "type labels, separated by commas", ["/", "i"], &[Place::Classify]),
    entry!(Action::Ask, "ask", "type a question", ["/", "i"], &[Place::Chat]),
    entry!(Action::EditQuery, "search", "search the library", ["/"], &[]),
    entry!(Action::Look, "look", "look at the photo", ["enter"], &[Place::Search, Place::Classify, Place::Map]),
    entry!(Action::OpenCluster, "open-cluster", "show the cluster's photos", ["enter"], &[Place::Clusters]),
    entry!(Action::MoreLikeThis, "more-like-this", "more photos like this one", ["m"], ONE),
    entry!(Action::LessLikeThis, "less-like-this", "fewer photos like this one", ["M"], ONE),
    entry!(Action::Earlier, "back", "the previous search", ["[", "H", "alt-left"], PHOTOS),
    entry!(Action::Later, "forward", "the next search", ["]", "L", "alt-right"], PHOTOS),
    entry!(Action::AskAboutPhoto, "chat", "ask questions about the photo", ["c"], ONE),
    entry!(Action::FullScreen, "full-screen", "show the photo full screen", ["f"], &[Place::Look]),
    entry!(Action::FullScreen, "look-full", "show the photo full screen", ["f"], PHOTOS),
    entry!(Action::Mark, "mark", "mark or unmark the photo", ["space"], ONE),
    entry!(Action::MarkRange, "mark-range", "begin or end a range; its photos are marked", ["V"], PHOTOS),
    entry!(Action::MarkAll, "mark-all", "mark every match", ["A"], PHOTOS),
    entry!(Action::InvertMarks, "invert-marks", "mark what is not marked, and unmark the rest", ["I"], PHOTOS),
    entry!(Action::UnmarkAll, "unmark-all", "remove all marks", ["U"], ONE),
    entry!(Action::ShowMarked, "show-marked", "show the marked photos", ["'"], ONE),
    entry!(Action::Pick, "pick", "quit; print the marked paths or this one (--pick)", ["ctrl-o"], ONE),
    entry!(Action::Pick, "pick-this", "quit; print the path (--pick)", ["enter"], &[Place::Look]),
    entry!(Action::Sort, "sort", "choose what photos are sorted by", ["o"], &[Place::Search]),
    entry!(
        Action::SortBy(Sorting::By(Order::Best)),
        "sort-best",
        "sort by how well photos match",
        [],
        &[Place::Search]
    ),
    entry!(Action::SortBy(Sorting::By(Order::Date)), "sort-date", "sort by date, newest first", [], &[Place::Search]),
    entry!(Action::SortBy(Sorting::By(Order::Name)), "sort-name", "sort by the name of the file", [], &[Place::Search]),
    entry!(Action::SortBy(Sorting::By(Order::Size)), "sort-size", "sort by the size of the file", [], &[Place::Search]),
    entry!(Action::SortBy(Sorting::By(Order::Path)), "sort-path", "sort by folder and name", [], &[Place::Search]),
    entry!(Action::SortBy(Sorting::By(Order::Rating)), "sort-rating", "sort by rating", [], &[Place::Search]),
    entry!(Action::SortBy(Sorting::Reversed), "sort-reverse", "reverse the order", [], &[Place::Search]),
    entry!(Action::Filters, "filters", "filter by year, camera, place, people, tags, ...", ["F"], &[Place::Search]),
    entry!(
        Action::Facts,
        "facts",
        "everything that is known about the photo",
        ["i"],
        &[Place::Look, Place::Map, Place::Duplicates]
    ),
    entry!(Action::EditCaption, "edit-caption", "write or change the caption", ["E"], ONE),
    entry!(Action::MakeCaptions, "make-captions", "let a model write captions: marked photos, or this", ["C"], ONE),
    entry!(Action::ClearCaption, "clear-caption", "delete the caption", [], ONE),
    entry!(Action::ReadText, "read-text", "read the text in what is marked, or in this photo", ["W"], ONE),
    entry!(Action::ClearText, "clear-text", "delete the text that was read in this photo", [], ONE),
    entry!(Action::SaveSearch, "save-search", "save the search under a name", ["S"], &[Place::Search]),
    entry!(Action::OpenRow, "open-row", "show its photos", ["enter"], &[Place::Browse]),
    entry!(Action::Unfold, "unfold", "list its parts, or no more", ["space"], &[Place::Browse]),
    entry!(Action::Browse(BrowseKind::Start), "browse-start", "the start page", ["s"], &[Place::Browse]),
    entry!(Action::Browse(BrowseKind::Folders), "browse-folders", "the folders", ["f"], &[Place::Browse]),
    entry!(Action::Browse(BrowseKind::Time), "browse-time", "the timeline", ["t"], &[Place::Browse]),
    entry!(Action::DeleteSearch, "delete-search", "delete the saved search", ["D"], &[Place::Browse]),
    entry!(
        Action::ForgetFolder,
        "forget-folder",
        "leave the folder out of the library; files stay",
        ["X"],
        &[Place::Browse]
    ),
    entry!(Action::Forget, "forget", "leave what is marked, or this photo, out of the library; files stay", [], ONE),
    entry!(
        Action::Beside,
        "beside",
        "show the next photo beside this one; both go on in step",
        ["|", "b"],
        &[Place::Look]
    ),
    entry!(Action::FurtherBeside, "further-beside", "compare with the photo after that", [">"], &[Place::Look]),
    entry!(Action::NextInStack, "next-in-stack", "the next photo of the stack", ["J"], &[Place::Look]),
    entry!(Action::PreviousInStack, "previous-in-stack", "the previous photo of the stack", ["K"], &[Place::Look]),
    entry!(Action::Slideshow, "slideshow", "begin or end a slideshow", ["S"], &[Place::Look]),
    entry!(Action::Browse(BrowseKind::Folders), "folders", "browse by folder", ["d"], PHOTOS),
    entry!(Action::Browse(BrowseKind::Time), "timeline", "browse by month", ["D"], PHOTOS),
    entry!(Action::EditTags, "tag", "tag what is marked, or this photo", ["t"], ONE),
    entry!(Action::RateMenu, "rate", "rate what is marked, or this photo", ["*"], ONE),
    entry!(Action::Rate(Some(1)), "rate-1", "rate: 1 star", ["1"], &[Place::Look]),
    entry!(Action::Rate(Some(2)), "rate-2", "rate: 2 stars", ["2"], &[Place::Look]),
    entry!(Action::Rate(Some(3)), "rate-3", "rate: 3 stars", ["3"], &[Place::Look]),
    entry!(Action::Rate(Some(4)), "rate-4", "rate: 4 stars", ["4"], &[Place::Look]),
    entry!(Action::Rate(Some(5)), "rate-5", "rate: 5 stars", ["5"], &[Place::Look]),
    entry!(Action::Rate(Some(0)), "rate-0", "rate: no stars", ["0"], &[Place::Look]),
    entry!(Action::Rate(Some(-1)), "reject", "rate: rejected", ["X"], &[Place::Look]),
    entry!(Action::Rate(None), "rate-as-files", "rate: as the files say", [], &[Place::Look]),
    entry!(Action::AddToAlbum, "add-to-album", "add what is marked, or this photo, to an album", ["B"], ONE),
    entry!(Action::OpenAlbum, "open-album", "show the photos of an album", ["b"], PHOTOS),
    entry!(
        Action::RemoveFromAlbum,
        "remove-from-album",
        "take what is marked, or this photo, out of an album",
        [],
        ONE
    ),
    entry!(Action::View, "view", "open in the system's viewer", ["O"], ONE),
    entry!(Action::CopyPath, "copy-path", "copy the path, or all marked paths", ["y"], ONE),
    entry!(Action::CopyText, "copy-text", "copy the text in the photo", ["Y"], ONE),
    entry!(Action::Reveal, "reveal", "show in the file manager", ["R"], ONE),
    entry!(Action::Export, "export", "export what is marked: HTML, JSON or copies", ["e"], ONE),
    entry!(Action::ToggleList, "toggle-list", "thumbnails or a list", ["v"], PHOTOS),
    entry!(Action::TogglePreview, "toggle-preview", "show or hide the photo at the side", ["p"], PHOTOS),
    entry!(Action::Larger, "larger", "larger thumbnails", ["+", "="], PHOTOS),
    entry!(Action::Smaller, "smaller", "smaller thumbnails", ["-"], PHOTOS),
    entry!(Action::ToggleRest, "toggle-rest", "show or hide the nearest of the rest", ["a"], &[Place::Search]),
    entry!(Action::SplitCluster, "split-cluster", "split the cluster into smaller ones", ["s"], &[Place::Clusters]),
    entry!(Action::RenameCluster, "rename-cluster", "rename the cluster", ["n"], &[Place::Clusters]),
    entry!(Action::MakeClusters, "make-clusters", "cluster the photos again", ["C"], &[Place::Clusters]),
    entry!(Action::ZoomIn, "zoom-in", "zoom in; the arrow keys move about", ["+", "="], &[Place::Look, Place::Map]),
    entry!(Action::ZoomOut, "zoom-out", "zoom out", ["-"], &[Place::Look, Place::Map]),
    entry!(Action::ExactSize, "exact-size", "show the photo pixel by pixel, or whole again", ["z"], &[Place::Look]),
    entry!(Action::WholePhoto, "whole-photo", "show the whole photo again", ["w"], &[Place::Look]),
    entry!(Action::NextPhoto, "next-photo", "the next photo, as closely", ["n"], &[Place::Look]),
    entry!(Action::PreviousPhoto, "previous-photo", "the previous photo, as closely", ["p"], &[Place::Look]),
    entry!(Action::Box, "box", "start or drop a box (or drag the mouse)", ["b", "v"], &[Place::Map]),
    entry!(Action::OpenBox, "open-box", "show the photos in the box", ["s"], &[Place::Map]),
    entry!(Action::NextLabel, "next-label", "photos of the next label", ["J", "."], &[Place::Classify]),
    entry!(Action::PreviousLabel, "previous-label", "photos of the previous label", ["K", ","], &[Place::Classify]),
    entry!(Action::ShowLabel, "show-label", "show the label's photos in Search", ["s"], &[Place::Classify]),
    entry!(Action::ChooseSet, "choose-set", "choose a saved label set", ["S"], &[Place::Classify]),
    entry!(Action::SaveSet, "save-set", "save the labels as a set", ["w"], &[Place::Classify]),
    entry!(Action::AskAgain, "ask-again", "change the last question and ask again", ["e"], &[Place::Chat]),
    entry!(Action::SaveChat, "save-chat", "save the chat to a file", ["s"], &[Place::Chat]),
    entry!(Action::ClearChat, "clear-chat", "delete the chat about this photo", ["D"], &[Place::Chat]),
    entry!(Action::Look, "compare", "show it large, beside the one that is kept", ["enter"], &[Place::Duplicates]),
    entry!(
        Action::KeepOrDrop,
        "keep-or-drop",
        "keep the file, or move it to the trash",
        ["space"],
        &[Place::Duplicates]
    ),
    entry!(Action::KeepOnly, "keep-only", "keep only this file of the group", ["o"], &[Place::Duplicates]),
    entry!(Action::KeepAll, "keep-all", "keep every file of the group", ["a"], &[Place::Duplicates]),
    entry!(
        Action::KeepAsProposed,
        "keep-as-proposed",
        "keep what is proposed, in all groups",
        ["P"],
        &[Place::Duplicates]
    ),
    entry!(
        Action::WriteScript,
        "trash-script",
        "write a script that moves the others to the trash",
        ["w"],
        &[Place::Duplicates]
    ),
    entry!(Action::PullModel, "pull-model", "download the model", ["d"], &[Place::Models]),
    entry!(
        Action::UseModel,
        "use-model",
        "let the model answer (reindex), or write, in this library",
        ["enter"],
        &[Place::Models]
    ),
    entry!(Action::VerifyModel, "verify-model", "verify the model's files and numbers", ["v"], &[Place::Models]),
    entry!(
        Action::QuantizeModel,
        "quantize-model",
        "make a smaller, faster form of the model",
        ["s"],
        &[Place::Models]
    ),
    entry!(
        Action::Quantize(Bits::Four),
        "quantize-4",
        "make a smaller form: 4 bits a weight, the fastest",
        [],
        &[Place::Models]
    ),
    entry!(
        Action::Quantize(Bits::Eight),
        "quantize-8",
        "make a smaller form: 8 bits a weight, nearer to the whole",
        [],
        &[Place::Models]
    ),
    entry!(Action::DropModel, "drop-model", "drop what the model made of this library", ["D"], &[Place::Models]),
    entry!(Action::FindDuplicates, "find-duplicates", "look for copies again", ["r", "f5"], &[Place::Duplicates]),
    entry!(Action::View, "view-copy", "open the file in the system's viewer", ["O"], &[Place::Duplicates]),
    entry!(Action::Reveal, "reveal-copy", "show the file in the file manager", ["R"], &[Place::Duplicates]),
    entry!(Action::AddFolder, "add-folder", "add a folder of photos", ["a"], &[Place::Index]),
    entry!(Action::FailureDetails, "why", "why this file could not be read", ["enter"], &[Place::Index]),
    entry!(Action::IndexNow, "index-now", "look for new and changed photos", ["i"], &[Place::Index]),
    entry!(Action::RetryFailures, "retry", "try again what could not be read", ["t"], &[Place::Index]),
    entry!(Action::ReadAllTexts, "read-texts", "read the text in all photos: receipts, signs", ["o"], &[Place::Index]),
    entry!(Action::View, "view-failure", "open the file in the system's viewer", ["O"], &[Place::Index]),
    entry!(Action::Reveal, "reveal-failure", "show the file in the file manager", ["R"], &[Place::Index]),
    entry!(Action::ToggleWatch, "toggle-watch", "start or stop watching the folders", ["w"], &[Place::Index]),
    entry!(Action::CancelWork, "cancel", "cancel what is running", ["x"], &[]),
    entry!(Action::Left, "left", "left", ["h", "left"], MOVES),
    entry!(Action::Down, "down", "down", ["j", "down"], MOVES),
    entry!(Action::Up, "up", "up", ["k", "up"], MOVES),
    entry!(Action::Right, "right", "right", ["l", "right"], MOVES),
    entry!(Action::PageDown, "page-down", "a page down", ["ctrl-d", "pagedown"], MOVES),
    entry!(Action::PageUp, "page-up", "a page up", ["ctrl-u", "pageup"], MOVES),
    entry!(Action::First, "first", "to the first", ["g", "home"], MOVES),
    entry!(Action::Last, "last", "to the last; with a count, as 15G, to that one", ["G", "end"], MOVES),
    entry!(Action::Center, "center", "scroll the photo to the middle", ["z z"], PHOTOS),
    entry!(Action::Browse(BrowseKind::Start), "go-start", "the start page: saved searches, albums, ...", ["0"], &[]),
    entry!(Action::Go(Place::Search), "go-search", "go to Search", ["1"], &[]),
    entry!(Action::Go(Place::Clusters), "go-clusters", "go to Clusters", ["2"], &[]),
    entry!(Action::Go(Place::Map), "go-map", "go to the Map", ["3"], &[]),
    entry!(Action::Go(Place::Classify), "go-classify", "go to Classify", ["4"], &[]),
    entry!(Action::Go(Place::Chat), "go-chat", "go to Chat", ["5"], &[]),
    entry!(Action::Go(Place::Index), "go-index", "go to Index: folders, progress, what could not be read", ["6"], &[]),
    entry!(
        Action::Go(Place::Duplicates),
        "go-duplicates",
        "duplicates: copies of a picture, and which to keep",
        ["7"],
        &[]
    ),
    entry!(Action::Go(Place::Models), "go-models", "models: installed, to download", ["8"], &[]),
    entry!(Action::NextPlace, "next-place", "the next place", ["tab"], &[]),
    entry!(Action::PreviousPlace, "previous-place", "the previous place", ["shift-tab"], &[]),
    entry!(Action::Refresh, "refresh", "read the library again", ["r", "f5"], &[]),
    entry!(Action::NextTheme, "next-theme", "other colours", ["T"], &[]),
    entry!(Action::Undo, "undo", "undo the last step", ["u"], &[]),
    entry!(Action::Redo, "redo", "do again what was undone", ["ctrl-r"], &[]),
    entry!(Action::Leave, "leave", "close what is open: full screen, photo, box", ["esc"], &[]),
    entry!(Action::Back, "back-to", "back to where you came from", ["backspace"], &[]),
    entry!(Action::Help, "help", "the keys of this place", ["?", "f1"], &[]),
    entry!(
        Action::Palette,
        "palette",
        "every action by its name, and commands: sort date, !cmd %",
        [":", "ctrl-p"],
        &[]
    ),
    entry!(Action::Suspend, "suspend", "suspend to the shell", ["ctrl-z"], &[]),
    entry!(Action::Quit, "quit", "quit", ["q", "ctrl-c"], &[]),
];

impl Action {
    /// Whether it opens a line to type in.
    #[must_use]
    pub fn opens_a_line(self) -> bool {
        use Action::*;
        matches!(
            self,
            EditQuery
                | EditLabels
                | Ask
                | AskAgain
                | Palette
                | AddFolder
                | Export
                | RenameCluster
                | SaveSet
                | SaveChat
                | EditCaption
                | EditTags
                | SaveSearch
                | ForgetFolder
                | AddToAlbum
        )
    }
}

impl Entry {
    /// Whether it works in a place.
    #[must_use]
    pub fn counts_in(&self, place: Place) -> bool {
        self.places.is_empty() || self.places.contains(&place)
    }
}
