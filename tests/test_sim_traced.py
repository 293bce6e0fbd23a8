"""Worlds in which something once broke and was traced to its cause: they stay as they are, and nothing may break in them.

Each is a race that a campaign of many thousand worlds found; the behaviour it showed has a test of its own where one instant
of it is enough (``test_core_calls`` and others). ``make test`` runs a sample of them, ``make soak`` all. Seeds are of the
default mix, with the policy in front laid over.
"""

from collections.abc import Sequence

import pytest
from samples import sample

from rtcore.sim import Voice, World, scenario_of, synthetic_voices
from rtcore.sim._line_world import LineWorld
from rtcore.sim.campaign import policy_world
from rtcore.sim.policy import Policy, parse_policy
from rtcore_adapters.voices import load_voices

MANY_CUTS = "context=exact,echo_ms=0,guard_ms=0,interruptions=60"
"""The policy of the million cuts (docs/benchmarks.md)."""
TRACED = [
    # On a call a clear empties the line, and what waited behind what it was meant for was told as heard (F030, B01).
    ("context=exact", 5_001_677),
    # Audio that comes over the side channel of a call shows that what was cut still runs (F022).
    ("", 6_000_026),
    # One that began without response.created was asked for before the voice that cut it (C18, B16).
    ("context=exact", 6_100_104),
    # A list of the program's that the server broke off: what was to stand behind a refused item is refused, too (B22).
    ("context=exact", 6_100_253),
    # Functions that run for long, asked for one behind the other, keep a conversation going (C26).
    ("context=exact", 6_100_390),
    # A call whose line stands still from a cut on: what sounded is an estimate (F030).
    ("context=exact", 6_100_395),
    # A session that ends takes what must have sounded as heard: its last words are an estimate, too (C19, F105, F162).
    ("context=exact", 6_100_814),
    # An edit of the program's that waits for its turn: what is asked for behind it waits, too (B22).
    ("", 6_800_012),
    # What was asked for, interrupted, and refused without a name: the next turn's report does not wait for it.
    ("", 6_800_008),
    # A list made while an edit of the program's was on its way undoes what that one does (B22).
    ("", 6_700_149),
    # The server found that nobody speaks: a speech that it never saw end is over (C16).
    ("", 6_700_457),
    # A function's result that was given up, and refused long after: nobody knows it again (F071).
    ("", 7_000_817),
    # The program's own voice comes before an aside that the server had begun, and that nobody here knew of (F150, B12).
    ("", 7_200_111),
    # What was asked for, interrupted, and never answered.
    ("", 7_200_122),
    # A clock that says late what had sounded: what is told after another was not heard behind it (F078, B12).
    ("", 7_400_179),
    # What was written beside a message that was cut is told at its end, and not as heard (F142).
    ("context=exact", 7_300_368),
    # A recogniser of the program's own hears a turn in a session that pauses first (B18).
    ("interruption=pause", 6_601_253),
    # A device that holds back a last sample sounds it long after the message counted as heard (B02, S01).
    ("", 8_200_150),
    # Of three results one arrived and two were refused: what the server has may be answered (F071, B28).
    ("context=exact", 8_300_137),
    # A clock that knows only marks: what goes on from a guess is too little to be known again (C19, B16).
    ("interruption=pause", 6_200_707),
    # What is written in an answer that was cut before it came is no first delta (C01, F142).
    ("", 8_500_104),
    # The words that bridge a wait come too late, though the answer waits for a confirmation (F071, C26).
    ("", 9_000_203),
    # The server says twice that a response runs: from the second time on it is waited for (F022, B13).
    ("", 9_200_101),
    # The end of a response that had passed for ended says what it used: that is its turn's (F022).
    ("", 10_000_231),
    # A local detector hears no silence before it says that speech has ended (B19).
    ("interruption=pause", 6_200_379),
    # A nameless refusal leaves the core waiting: what a voice would cut is not known then (B18, F057).
    ("interruption=pause", 6_600_565),
    # Nor where all had sounded, and the clock has not answered the flush (B02, B18).
    ("interruption=pause", 6_601_302),
    # A creation whose response began without response.created is not asked for any more (C18, B18).
    ("interruption=pause", 6_600_445),
    # The device vanishes while it is open what a voice was: its turn is answered then, and not with the next event (F100, B18).
    ("interruption=pause", 6_600_682),
    # A local detector's end of speech, and a voice that it had heard before a recogniser understood it (B18, F118).
    ("interruption=pause", 8_400_021),
    ("interruption=pause", 8_400_192),
    # The last turn is taken for a cough, and said again (B18, C07).
    ("interruption=pause", 6_601_292),
    # Sound comes in the instant in which the wait for more speech is over: it is handed over, and then flushed (B19).
    ("interruption=pause", 6_601_121),
    # Functions of two responses take long at once: which of them a filler was for shows itself later (C26).
    ("context=exact", 11_100_159),
    # .. also with the filler of the one cancelled by the other's result.
    ("", 7_100_046),
    # A clock that said nothing for too long: what it has is taken as heard, and a filler may come (B29, C26).
    ("", 10_000_208),
    # A response begins in the very instant in which a function is slow, a hair behind the timer (C26).
    ("context=exact", 10_100_240),
    # .. also where it was not announced.
    ("context=exact", 13_000_834),
    # A commit that comes twice, of a voice that the echo guard dropped, is no other turn (F115, F118).
    ("context=exact", 13_000_606),
    # The same history wanted again while the item that it brings is on its way: it is not written twice (B22).
    ("context=exact", 13_001_531),
    # A device that tells late where a flush stopped it: half duplex counts its tail from there (F039).
    ("context=exact", 13_001_195),
    # The line held up words that bridge a wait for so long that the answer was heard in their midst: the rest follows (C26).
    ("", 13_010_218),
    # A clock that falls silent says nothing by which more could be handed over than the lead (F078).
    ("lead_ms=200,stale_context=recreate", 15_080_121),
    # A guard against the echo stands before the test of a voice, and both have the same times (F118, B18).
    ("interruption=pause", 8_400_001),
    ("interruption=pause", 8_400_019),
    ("interruption=pause", 14_000_131),
    # A session that only writes down hears a silence before it says that speech has ended, too (B19).
    ("interruption=pause", 14_000_447),
    # The answer to an earlier turn comes into the last one, which is taken for a cough: it is said again (B18).
    ("interruption=pause", 14_000_045),
    # What waits behind sound that does not come is heard first (C26).
    ("interruption=pause", 14_000_225),
    # A frame of the microphone comes a nanosecond before the wait for a word is over (B18).
    ("interruption=pause", 14_001_134),
    # The device vanishes in a pause: the one that is back is not paused, and gets nothing while the sound is held (F100, B16).
    ("interruption=pause", 14_001_163),
    # What was typed while a voice is put to the test is not cut by it, though it was refused, nobody knows for what (B13, B18).
    ("interruption=pause", 14_001_115),
    # A turn is understood at a time of its own (B18).
    ("interruption=pause", 14_002_542),
    # What sounds was said after the voice began, and goes on; what the voice cuts has no sound yet (B18).
    ("interruption=pause", 14_003_183),
    # The typed item was refused: whether its response is still waited for when a voice begins, is the client's affair (F057).
    ("interruption=pause", 14_004_081),
    # A device that reports nothing fell silent later than it declared, and sounds so much later what came next (C19).
    ("interruption=pause", 14_001_732),
    # The clock's word makes room in the instant in which the guard is over and the voice is put to the test (F118, B18).
    ("interruption=pause", 17_010_079),
    # The only result of a response is refused, and what the server has is one of a response that the program cut (F064, F071).
    ("interruption=pause", 17_110_115),
    # What is cut in a pause whose flush has no answer in time is silent when the wait for that is over (B18, B29).
    ("interruption=pause", 16_010_628),
    # The end of a response comes in the instant of the decision about it, and is told before it (B18, DESIGN 3).
    ("interruption=pause", 15_090_188),
    # The line stands still while an answer that nobody could hear is taken out: it is asked for again behind that (F140, C16).
    ("interruption=pause", 15_001_323),
    # The flush that was a pause is answered too late, with all that there was: what is cut then was estimated by its time (B29).
    ("interruption=pause", 14_004_626),
    # A clock falls silent with sound handed over behind its last word: what waits behind a stalled message waits longer (F078).
    ("context=exact", 9502),
    # A request is sent once more, now behind a turn in words: it answers that as well (C15, B13).
    (MANY_CUTS, 40_002_372),
    (MANY_CUTS, 40_003_055),
    # What was asked for before the cut of another that passed for it is ours, and is not heard (B14, B15).
    (MANY_CUTS, 41_007_588),
    # Words for a wait fall due in the very instant in which somebody begins to speak (C26).
    (MANY_CUTS, 41_010_587),
    # The clock stops one sample before the end of a part behind which its message goes on: it is heard after a pause (B02).
    (MANY_CUTS, 41_016_522),
    # A line stands still behind the beginning of a text. Sound came behind that, and the next answer knew of it (F022).
    (MANY_CUTS, 41_017_892),
    # Neither the end of a response is told nor that its item is in the conversation: that is kept for whichever comes (F022).
    (MANY_CUTS, 41_019_662),
    # What the program says waits behind a message without sound, and is heard in the instant in which that is cut (B07).
    (MANY_CUTS, 41_021_344),
    # The refusal of a cancel got lost: what a later create led to shows it, and the next refusal is another's (C14).
    (MANY_CUTS, 42_001_033),
    # A clock that was held for long has all its time when a cut lets it go on (B18, B29).
    (MANY_CUTS, 42_002_501),
    # A result that was sent behind a creation is answered by another, though it was announced first (C15, F062).
    (MANY_CUTS, 42_003_671),
    # An answer that the device's loss cut before it began leaves results owed (F100).
    (MANY_CUTS, 42_005_237),
    # Who speaks in the instant in which words for a wait are asked for has them dropped (C26).
    (MANY_CUTS, 42_007_740),
    # Sound comes in the very instant of a decision: behind it (B18).
    (MANY_CUTS, 42_008_025),
    # A nameless refusal of a truncate that was given up is taken for that of the next (F046).
    (MANY_CUTS, 42_010_629),
    # A turn of which no word came has been dealt with when one is told that was sent behind it (C15).
    (MANY_CUTS, 42_018_743),
    # A response is interrupted by its name while the program holds the sound: what is left is held still (F052).
    (MANY_CUTS, 42_021_787),
    # A result is sent behind a request for an answer that the server refuses: another is asked for it (C15, F061).
    (MANY_CUTS, 42_011_702),
    # Words for a wait, once more: somebody speaks in their very instant, and their text is not told (C26).
    (MANY_CUTS, 42_016_217),
]
DEFAULT = [
    # What sounded to its end before the device stopped was not silenced: the turn's silence is that of another cut (C01).
    11_000_127,
    # And where the clock reports more than it was handed over.
    9_200_045,
    # Less than a millisecond after the clock's last word the model is silent, and the user heard (F039).
    11_000_222,
    # Calls of two responses are slow in the same moment, and the result of one drops the words that bridge both (C26).
    12_000_165,
    # A call has its result, and an approval beside it is open: no answer comes yet, and the words may be heard (C26).
    12_000_262,
    # Of what began without response.created, its end shows that it was what had been interrupted before it began (C18).
    12_000_697,
    # Typed into an answer, and the line lost before the device was silent: what was interrupted is not waited for (S05).
    12_000_652,
    # What waited on a call when a clear emptied its line may have lost its beginning, or nothing: no event tells (F030).
    12_002_676,
    # A call is told late, before the server has said that it has what was told at the beginning: nothing changes its place (C25).
    13_002_073,
    # On a call, what was cut shows itself after the line stood still, and the server says what of it sounded (F022, F030).
    14_003_478,
    # On a call, the end of an answer in text comes behind its cut: the history has it as it was written (C25).
    15_031_882,
    # An output was refused: the answer to a batch of which the server has one by then is asked for with its last (F071, B28).
    17_031_749,
    # A voice of the program's own in pieces, slower than it sounds: what comes now has not waited behind the lead (F019, F150).
    13_002_535,
    # A line is lost between a message's first sample and its last: what sounds behind what had come of it cut nothing (B23).
    20_000_049,
    # A voice waits for the guard's end, and what it came into is heard out by then: nothing was cut in a row (F118).
    1366,
    # Two cancels on their way, one of a response whose end the server forgot: the refusal that names none is of that (C14, F022).
    2428,
    # The line stands still until a cancel is given up: its refusal comes behind the next cancel, and names none (C14, F022).
    7_310_678,
    # A model that hears itself answers itself, and the user never comes to a word (F118).
    6160,
    # What was given up after its time is nothing that a voice could cut, however long nothing is looked at (B18).
    20_100_450,
    # Two turns that the server answers by itself, behind one that it could not: nothing more is asked for (C15, B13).
    6278,
    # A commit that is under way when a detector hears somebody is no state that outlives it.
    1884,
    # A renewal of which four second lines do not come up backs off for longer than a minute.
    1934,
    # An answer has seen the results that the server had confirmed, whatever other result is still on its way (C26, F064).
    6675,
    # Speech drops an answer before it began: what then holds the slot refused ours, and no answer from before (B13, F044).
    9948,
    # On a call: what is cut waits behind everything that was created before it, and may sound ...
    11_771,
    # .. a stale answer sounds before its cancel arrives ..
    51_826,
    # .. what a cancel of ours ended had more to say than was sounded ..
    27_487,
    117_849,
    # .. two clears are on their way, and one of them is answered ..
    107_137,
    # .. what waited behind a clear is gone, and answered once more.
    110_283,
    # The answer that passed for ours had been given up, and ours comes after all: two are one too many (B14).
    29_600,
    # What a list came to is not known while its events have no answer (B22).
    19_180,
    # An output of which no word came counts as on its way, though another was refused before it (F061, F071).
    21_289,
    # What stood before the place where the server cut need not have sounded, where a clear had taken its beginning.
    333_532,
    412_286,
    639_303,
    # .. and what is reckoned is called an estimate, whatever the server says of another message.
    509_448,
    # An answer that nothing waits for any more holds up no turn's report.
    527_828,
    # A server that speaks up whenever nobody does leaves little rest (F098).
    511_923,
    # The last result of a batch is refused when a response has seen all others (F064, F071).
    538_750,
    # What was given up holds the slot after all: the server's own answer to a turn was refused, and not ours (B13, F044).
    102_167,
    # A silence that the server commits is a turn that it found by itself, though nobody has spoken yet (C16).
    606_757,
    # Functions asked for one behind the other: the last of them has its answer when the time would be up (C26).
    611_308,
    # A voice comes between a request beside the conversation that is to be heard and its response: nothing of it is heard (B15).
    70_061,
    # Words show that what was taken for a cough is none: what they silence sounds long after that voice began (B18).
    3287,
    # A voice had interrupted it before its end told whose it was: what it called meanwhile is answered (B15, F064).
    300_085,
    # .. and what the program had interrupted is not, whether or not there was anything to cut (F064).
    2216,
    # A turn of the button gives way to a text that has no answer: it is answered once the slot is free (C15, B13).
    7_330_341,
    # The user is heard to speak in the very instant in which a silence is told.
    20_000_455,
    # A turn is understood after the answer to a function's result was asked for: what begins then has not heard it (C15, C16).
    7_310_404,
    # The refusal of a cancel that was given up, and that names nothing, comes behind the next cancel: it ends no response (C14).
    23_000_355,
    # The model falls silent by the time-out in whose instant a silence would have been told (F130).
    20_004_069,
    # A voice within the guard, and whether what had begun without its response.created was asked for nobody can say (F118).
    20_005_240,
    # A request sent once more shows at its end whose it is: the answer to a later turn is the server's own (F044).
    23_010_778,
    # A cancel that was given up left no refusal behind: what was answered since shows it (C14).
    21_001_165,
    # A turn in words, sent behind the creation for a function's result, which the server takes its time to announce (C15).
    910_050,
    30_002_749,  # what never began ends as cancelled by a turn beside the one that sounds: that says nothing of the user (C18)
    3_205_286,  # a turn is refused, its answer called back, and the result that was to be answered with it is answered by another
    31_003_115,  # an answer is cut by name while a voice is put to the test, which then cuts the one that goes on from it
    32_001_367,  # a line stands still behind a truncate, and the server spoke on: it is said once more before the next answer
    32_002_703,  # an error that names nothing was that of a request, or of the server's own second answer: nobody can say which
    32_016_980,  # the server's own attempt is refused while ours waits, and it begins one: ours would have come before
    32_020_708,  # an answer of which nobody knows whose it is goes with the turn that was refused, and the results are answered
    32_033_630,  # what the program interrupted was never announced, and passed for the answer to a turn that it dropped, too
    32_036_861,  # what a segment that was lost sight of may go on with is word for word the next one's beginning
    32_036_199,  # a detector hears somebody in the instant in which a silence is told
    32_041_106,  # a request is given up while the server says that something runs that has not shown itself
]
SYNTHETIC = [
    # The same at another server.
    ("", 6_400_071),
    # A message that was heard but for its last sample is over: the silence of another is not its own (B02).
    ("", 6_300_461),
    # Half a sample sounds like nothing (C22).
    ("", 760),
    # Where the line stands still, the program's own voice comes before what the server has begun meanwhile (F150).
    ("", 1186),
    # A truncate that was never acknowledged is given up after its time: what the server creates then is not stale (C16).
    ("", 880),
    # A commit that comes twice asks for one answer, however late (C18, B18).
    ("", 1089),
]

LINES = [
    32005,  # a call that came before the line was lost, and was answered on the next one when that was dead already
    29965,  # the line of an answer in text is lost before its end
    17612,  # a poisoned session that finds nobody for its renewal backs off longer than a person waits
    50242,  # text that comes behind the cut of its message is nothing that was read
    50288,  # a result was told before what still sounded, and that takes along what follows it
    50382,
    70123,  # a session that lives for a moment comes between what sounds and the one that is told of it
    60171,  # an answer that was cancelled before it was heard is not waited for when its line is lost
    60730,  # a turn of the button is told to the next server, though its answer is not waited for any more
    60804,  # who was to be heard again, and was not, may go unheard on the line after that
    60836,  # .. and so may who began to speak more than a minute before
    43026,  # two answers begin word for word alike, and one of them was skipped
    40162,  # the last server there is fails every answer, and nobody is there for another
    71350,  # an answer in text that was taken out as its line was lost is in no summary
    71175,  # a server ends its session on a line that has gone silent: nobody is told of it
    70816,  # pictures that were sent into a dead line take no place from those that were there
    70666,  # a poisoned session waits longer than a person for its second line, and what it owes is asked for on that
    81466,  # a call ends while the deletion of an answer in text is on its way, and the history is the server's till that is told
    71396,  # a sentence that runs on without a pause: later silences, one after the other, are not taken for its end
    90008,  # a turn whose words had not come is told by its sound behind a summary
    81342,  # a voice without pauses: no pace is believed at which nobody speaks
    7_340_493,  # a turn is over while the summary waits for what sounds: it stands behind all that this tells
    7_330_520,  # nobody is there for another line while a message sounds: what was heard of it is an estimate
    22_010_279,  # a turn is over while one of several open calls is told late: it stands behind those told later still
    24_000_554,  # the first two samples of a message are those with which the one before it, which was cut, would have gone on
    41_002_538,  # the button goes down in the instant in which a session was due to be renewed: the renewal comes first
]


def run(policy: str, seed: int, voices: Sequence[Voice]) -> tuple[list[object], int]:
    result = World(seed, voices, scenario=parse_policy(policy).applied(scenario_of(seed))).run()
    return list(result.violations), result.turns_unanswered


@pytest.mark.parametrize(("policy", "seed"), sample(TRACED, 8))
def test_what_was_traced_does_not_come_back(policy: str, seed: int) -> None:
    assert run(policy, seed, load_voices()) == ([], 0)


@pytest.mark.parametrize("seed", sample(DEFAULT, 8))
def test_nor_does_it_in_the_default_mix(seed: int) -> None:
    result = policy_world(seed, load_voices(), Policy()).run()
    assert (list(result.violations), result.turns_unanswered) == ([], 0)


@pytest.mark.parametrize(("policy", "seed"), sample(SYNTHETIC, 8))
def test_nor_does_it_with_synthetic_voices(policy: str, seed: int) -> None:
    assert run(policy, seed, synthetic_voices(1)) == ([], 0)


@pytest.mark.parametrize("seed", sample(LINES, 8))
def test_nor_does_it_in_a_long_call(seed: int) -> None:  # B24, F095
    assert list(LineWorld(seed, load_voices()).run().violations) == []
