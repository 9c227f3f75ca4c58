//! What the search for a text asks of a language model, whichever it is.

/// Whether to continue; asked between two layers or texts.
pub(in crate::model) type GoOn<'a> = &'a (dyn Fn() -> bool + Sync);

/// A language model while it writes texts, with what it remembers of them.
pub(in crate::model) trait Decoder {
    /// A text so far: what was read of it, and what is to be read next.
    type Hypothesis: Clone;

    /// The most tokens that can still be written.
    ///
    /// # Errors
    /// There is no room even for the prompt.
    fn room(&self, text: &Self::Hypothesis) -> anyhow::Result<usize>;

    /// Reads what is new in each text and returns the scores of its next token, (texts, vocabulary). If `go_on` stopped
    /// it, the result is `None`, and the texts are as before.
    ///
    /// # Errors
    /// A text outgrows the context.
    fn next_scores(&mut self, texts: &mut [&mut Self::Hypothesis], go_on: GoOn) -> anyhow::Result<Option<Vec<f32>>>;

    /// Adds a token to a text.
    ///
    /// # Errors
    /// The token is not in the vocabulary.
    fn push(&self, text: &mut Self::Hypothesis, token: u32) -> anyhow::Result<()>;

    /// Forgets all texts but these.
    fn keep<'a>(&mut self, _texts: impl IntoIterator<Item = &'a Self::Hypothesis>)
    where
        Self::Hypothesis: 'a,
    {
    }

    /// Tokens in the vocabulary.
    fn vocabulary(&self) -> usize;
}
