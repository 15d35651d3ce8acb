"""Rooms with a thermostat, and devices that can be switched."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from acenv.envs.tools.tooling import ToolError, World, tool

Degrees = Annotated[int, {"minimum": 5, "maximum": 35}]


def get_temperature(world: World, room: str) -> Any:
    """Get the temperature of a room."""
    record = world.table("rooms").get(room)
    if record is None:
        raise ToolError(f"no room {room[:60]}. The rooms are: {', '.join(world.table('rooms'))}.")
    return {"degrees": record["degrees"]}


def set_temperature(world: World, room: str, degrees: Degrees) -> Any:
    """Set the temperature of a room."""
    get_temperature(world, room)
    world.table("rooms")[room]["degrees"] = degrees
    return {"ok": True}


def list_devices(world: World, room: str) -> Any:
    """List the devices in a room."""
    get_temperature(world, room)
    return {
        "devices": [
            {"device": k, "kind": d["kind"], "state": d["state"]}
            for k, d in world.table("devices").items()
            if d["room"] == room
        ]
    }


def switch_device(world: World, device: str, state: Literal["on", "off"]) -> Any:
    """Switch a device on or off."""
    record = world.table("devices").get(device)
    if record is None:
        raise ToolError(f"no device {device[:60]}. See list_devices.")
    record["state"] = state
    return {"ok": True}


TOOLS = (
    tool(get_temperature),
    tool(set_temperature, writes=True),
    tool(list_devices),
    tool(switch_device, writes=True),
)
