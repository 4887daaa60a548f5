//! What answers where no agent is connected: it says so, in the language of those who ask.

use super::{Agent, bounded};

/// Longest part of a question that is quoted, in characters.
const QUOTE_CHARS: usize = 200;

/// Words that come at a time.
const WORDS: usize = 2;

/// Who answers.
pub fn agent() -> Agent {
    Agent { id: Some("demo".to_owned()), name: Some("Agente de demonstração".to_owned()) }
}

/// An answer, in the pieces in which it comes.
pub fn answer(question: &str) -> Vec<String> {
    let text = format!(
        "Olá! Sou o agente de demonstração: respondo enquanto nenhum agente de verdade está conectado a este \
         servidor. Para conectar um, quem o administra define AGENT_URL. Você perguntou: “{}” Um agente de verdade \
         buscaria contratos, licitações e despesas em dados públicos, apontaria o que foge do padrão e diria de onde \
         vem cada número. A resposta dele chegaria assim como esta, pedaço por pedaço.",
        quote(question)
    );
    let words: Vec<&str> = text.split_inclusive(' ').collect();
    words.chunks(WORDS).map(<[_]>::concat).collect()
}

/// The question on one line, cut where it is too long.
fn quote(question: &str) -> String {
    let line = question.split_whitespace().collect::<Vec<_>>().join(" ");
    match bounded(&line, QUOTE_CHARS) {
        Some(beginning) if beginning.len() < line.len() => beginning + "…",
        Some(_) | None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_what_it_is_and_what_connects_a_real_agent() {
        let text = answer("Quanto custou a ponte?").concat();
        for part in ["agente de demonstração", "AGENT_URL", "Você perguntou: “Quanto custou a ponte?”"] {
            assert!(text.contains(part), "{part} in {text}");
        }
        assert_eq!(text, answer(" Quanto custou\n\na ponte? ").concat());
    }

    #[test]
    fn it_comes_in_pieces_of_a_word_or_two() {
        let pieces = answer("Oi?");
        assert!(pieces.len() > 20);
        for piece in pieces {
            assert!((1..=WORDS).contains(&piece.split_whitespace().count()), "{piece:?}");
        }
    }

    #[test]
    fn a_long_question_is_quoted_in_part() {
        assert_eq!(quote(&"ã".repeat(QUOTE_CHARS)), "ã".repeat(QUOTE_CHARS));
        assert_eq!(quote(&"ã".repeat(QUOTE_CHARS + 1)), format!("{}…", "ã".repeat(QUOTE_CHARS)));
    }
}
