"""Virtual time for asyncio and trio, as the test bench has it (``rtcore_adapters.testing``)."""

from rtcore_adapters.testing._virtual import TOOL as TOOL
from rtcore_adapters.testing._virtual import Empty as Empty
from rtcore_adapters.testing._virtual import Jumper as Jumper
from rtcore_adapters.testing._virtual import JumpingLoop as JumpingLoop
from rtcore_adapters.testing._virtual import Stage as Stage
from rtcore_adapters.testing._virtual import Stuck as Stuck
from rtcore_adapters.testing._virtual import run_asyncio as run_asyncio
from rtcore_adapters.testing._virtual_trio import JumpingClock as JumpingClock
from rtcore_adapters.testing._virtual_trio import run_trio as run_trio
