from seisweep.statistics.certainty import what_intervals_are

from trainables import metrics


def test_what_was_chosen_is_said_where_there_was_a_choice():
    several = what_intervals_are([metrics.DEV_F1], of_the_best=True)
    assert several.endswith("the best of several trials was chosen on these events, which makes its score too good")
    assert several.startswith(what_intervals_are([metrics.DEV_F1], of_the_best=False) + ";")
