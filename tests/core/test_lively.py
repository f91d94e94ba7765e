"""Whether a feed is silent, which of two lines leads, how far a venue's clock is off: by what came, nothing else."""

from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from sofia_streams.core.feeds.lines import LineRace
from sofia_streams.core.feeds.pulse import FRAMES_MIN, Pulse
from sofia_streams.core.feeds.skew import AGREEING, ClockSkew
from sofia_streams.model import Trade

S = 1_000_000_000
FLOOR_NS = 15 * S


def trade(number):
    return Trade(str(number), Decimal(1), Decimal(1), "buy", 0, number)


@given(st.integers(1, 10**11), st.lists(st.floats(1.0, 3.0), min_size=1, max_size=300))
def test_a_steady_feed_is_never_called_silent_however_its_pauses_vary_up_to_threefold(pause_ns, times):
    pulse, now_ns = Pulse(0, 1), 0
    for factor in times:
        now_ns += int(pause_ns * factor)
        assert pulse.level(now_ns) == 0
        pulse.saw(now_ns)


@given(st.lists(st.integers(1, 40 * S), min_size=FRAMES_MIN, max_size=200))
def test_silence_shows_at_the_floor_or_three_times_the_longest_pause_and_ends_with_a_frame(pauses_ns):
    pulse, now_ns = Pulse(0, FLOOR_NS), 0
    for pause_ns in pauses_ns:
        now_ns += pause_ns
        pulse.saw(now_ns)
    assert FLOOR_NS <= pulse.limit_ns <= max(FLOOR_NS, 3 * max(pauses_ns))
    assert pulse.level(now_ns + FLOOR_NS - 1) == 0
    assert pulse.level(now_ns + max(FLOOR_NS, 3 * pauses_ns[-1]) - 1) == 0
    assert pulse.level(now_ns + max(FLOOR_NS, 3 * max(pauses_ns))) >= 1
    pulse.saw(now_ns + 10**12)
    assert pulse.level(now_ns + 10**12) == 0


def test_one_long_pause_is_forgotten_in_time_and_a_feed_of_few_frames_is_never_silent():
    pulse = Pulse(0, S)
    for at_ns in range(FRAMES_MIN - 1):
        pulse.saw(at_ns)
    assert pulse.level(10**15) == 0
    pulse.saw(60 * S)
    assert 170 * S < pulse.limit_ns <= 180 * S
    for second in range(1_000):
        pulse.saw((61 + second) * S)
    assert pulse.limit_ns == 3 * S
    assert pulse.level((1_060 + 7) * S) == 2


def test_a_clock_that_goes_back_silences_nobody():
    pulse = Pulse(100 * S, S)
    for at_ns in (101 * S, *(50 * S,) * FRAMES_MIN):
        pulse.saw(at_ns)
    assert pulse.heard_ns == 101 * S
    assert pulse.level(51 * S) <= 0


deliveries = st.lists(
    st.tuples(st.sampled_from(("a", "b", "c")), st.lists(st.integers(0, 30), max_size=5), st.integers(0, 50)),
    max_size=60,
)


@given(deliveries)
def test_each_trade_that_two_lines_had_is_won_once_by_the_first_and_its_lead_is_exact(frames):
    race, first, done, now_ns = LineRace(), {}, set(), 0
    for line, numbers, pause_ns in frames:
        now_ns += pause_ns
        expected = []
        for number in numbers:
            leader, at_ns = first.setdefault(number, (line, now_ns))
            if leader != line and number not in done:
                done.add(number)
                expected.append((leader, now_ns - at_ns))
        assert race.saw(line, [trade(number) for number in numbers], now_ns) == expected


def test_a_race_remembers_a_bounded_number_of_trades():
    race = LineRace()
    for number in range(20_000):
        assert race.saw("a", [trade(number)], number) == []
        assert race.saw("b", [trade(number)], number + 3) == [("a", 3)]
    assert len(race._first) <= 5_000


def prints(ahead_ns, ways_ns, from_ns=10**18, every_ns=S // 10, drift_ppm=0):
    """(exchange, received) of prints of a venue whose clock is so far ahead."""
    for number, way_ns in enumerate(ways_ns):
        at_ns = from_ns + number * every_ns
        yield at_ns + ahead_ns + number * every_ns * drift_ppm // 10**6, at_ns + way_ns


@given(
    st.integers(-10 * S, 10 * S),
    st.lists(st.integers(0, 2 * S), min_size=1, max_size=200),
    st.integers(-200, 200),
)
@settings(deadline=None)
def test_a_venues_clock_is_never_put_later_than_it_is_nor_much_earlier_once_it_is_known(ahead_ns, ways_ns, drift_ppm):
    skew = ClockSkew()
    assert (skew.delay_ns, skew.exchange_now_ns(5)) == (None, 5)
    for exchange_ns, received_ns in prints(ahead_ns, ways_ns, drift_ppm=drift_ppm):
        skew.saw(exchange_ns, received_ns)
    drifted_ns = 60 * S * 200 // 10**6
    now_ns = received_ns + 5 * S
    truth_ns = now_ns + ahead_ns
    known_ns = truth_ns if len(ways_ns) > (AGREEING + 2) * 10 else min(truth_ns, now_ns + 5 * S)
    assert known_ns - max(ways_ns) - 2 * drifted_ns <= skew.exchange_now_ns(now_ns) <= truth_ns + 2 * drifted_ns


@given(st.integers(0, 10 * S), st.integers(1, S))
def test_of_a_clock_that_is_ahead_the_latency_is_what_comes_on_top_of_the_fastest_print(ahead_ns, more_ns):
    skew = ClockSkew()
    for exchange_ns, received_ns in prints(ahead_ns + S, [S] * 50):
        skew.saw(exchange_ns, received_ns)
    assert skew.delay_ns == -ahead_ns
    assert skew.latency_ns(exchange_ns, received_ns + more_ns) == more_ns


def test_a_clock_that_was_set_right_is_known_within_the_minute():
    skew = ClockSkew()
    for exchange_ns, received_ns in prints(5 * S, [0] * 600):
        skew.saw(exchange_ns, received_ns)
    assert skew.delay_ns == -5 * S
    for exchange_ns, received_ns in prints(0, [0] * 710, from_ns=10**18 + 60 * S):
        skew.saw(exchange_ns, received_ns)
    assert skew.delay_ns == 0
