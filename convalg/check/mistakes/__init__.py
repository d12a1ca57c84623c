"""The known mistakes: what each computes, and the sentence that names it."""
