"""The known mistakes: the computation of each, and the sentence that describes it."""
