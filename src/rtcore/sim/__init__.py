"""The other side of the conversation, simulated: strict server, speaker, network, user, auditor and the world that runs them.

Everything here is as pure as the core: no IO, no clock, and the only chance is the seed's integer generator.

    world = World(7, synthetic_voices(1), story=True)
    result = world.run()                     # what was found: figures, and broken invariants with their time
    print(*world.story.lines, sep="\\n")      # when, who, what
    campaign = run_campaign(0, 1000, synthetic_voices(1))
"""

from rtcore.sim.auditor import PENDING as PENDING
from rtcore.sim.auditor import Auditor as Auditor
from rtcore.sim.campaign import run_campaign as run_campaign
from rtcore.sim.faults import FAULTS as FAULTS
from rtcore.sim.faults import Fault as Fault
from rtcore.sim.network import Line as Line
from rtcore.sim.network import NetworkOptions as NetworkOptions
from rtcore.sim.program import Commands as Commands
from rtcore.sim.program import Program as Program
from rtcore.sim.results import CampaignResult as CampaignResult
from rtcore.sim.results import KindResult as KindResult
from rtcore.sim.results import Spread as Spread
from rtcore.sim.results import Violation as Violation
from rtcore.sim.results import WorldResult as WorldResult
from rtcore.sim.sabotage import SABOTAGED as SABOTAGED
from rtcore.sim.scenario import Kind as Kind
from rtcore.sim.scenario import Scenario as Scenario
from rtcore.sim.scenario import Turn as Turn
from rtcore.sim.scenario import scenario_of as scenario_of
from rtcore.sim.server import Server as Server
from rtcore.sim.server import ServerOptions as ServerOptions
from rtcore.sim.speaker import Speaker as Speaker
from rtcore.sim.speaker import SpeakerOptions as SpeakerOptions
from rtcore.sim.story import Story as Story
from rtcore.sim.user import User as User
from rtcore.sim.voices import Voice as Voice
from rtcore.sim.voices import Word as Word
from rtcore.sim.voices import synthetic_voices as synthetic_voices
from rtcore.sim.world import SessionFactory as SessionFactory
from rtcore.sim.world import World as World
