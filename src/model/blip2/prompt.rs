//! Prompts of a chat, as the reference writes them.

/// A question and its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PromptTurn {
    /// As the user asked it.
    pub question: String,
    /// As it was answered.
    pub answer: String,
}

/// The prompt of a question after earlier turns.
#[must_use]
pub fn question_prompt(turns: &[PromptTurn], question: &str) -> String {
    let mut prompt = String::new();
    for PromptTurn { question, answer } in turns {
        prompt += &format!("Question: {question} Answer: {answer}. ");
    }
    prompt + &format!("Question: {question} Answer:")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_are_joined_by_blanks() {
        assert_eq!(question_prompt(&[], "What is it?"), "Question: What is it? Answer:");
        let turn = |q: &str, a: &str| PromptTurn { question: q.into(), answer: a.into() };
        assert_eq!(
            question_prompt(&[turn("A?", "b"), turn("C?", "d")], "E?"),
            "Question: A? Answer: b. Question: C? Answer: d. Question: E? Answer:"
        );
    }
}
