"""Functions for rooms, journeys, parcels and the home."""

from __future__ import annotations

from collections.abc import Mapping

from acenv.envs.tools import words
from acenv.envs.tools.bfcl import templates as t
from acenv.envs.tools.bfcl import values as v
from acenv.envs.tools.bfcl.templates import Parameter, Template

_EQUIPMENT = ("projector", "whiteboard", "microphone", "screen", "printer")

PLACES: Mapping[str, tuple[Template, ...]] = {
    "rooms": (
        Template(
            "book_meeting_room",
            "Book a room of the company for a meeting.",
            (
                "Book the meeting room {room} for {minutes} on {date}, from {time}.",
                "We need the {room} meeting room on {date} at {time}, for {minutes}.",
            ),
            (
                t.text("room", "The name of the room.", v.names(words.CITIES)),
                t.date(),
                t.time(),
                t.MINUTES,
                Parameter(
                    "equipment",
                    {"type": "array", "items": {"type": "string", "enum": list(_EQUIPMENT)}},
                    "What should be in the room, in the order in which it is named.",
                    v.several(v.names(_EQUIPMENT), 2, 3),
                    ["screen"],
                    "It must have {}.",
                ),
            ),
        ),
        Template(
            "book_hotel_room",
            "Book a room in a hotel.",
            (
                "Book {guest} a hotel room in {city} for {nights} nights from {arrival}.",
                "{guest} arrives in {city} on {arrival} and stays {nights} nights: book a hotel room.",
            ),
            (
                t.text("guest", "The full name of the guest.", v.person),
                t.text("city", "The city.", v.names(words.CITIES)),
                t.date("arrival", "The date of the arrival"),
                Parameter("nights", {"type": "integer"}, "The number of nights.", v.count(2, 14)),
                t.choice(
                    "beds",
                    "The kind of beds.",
                    {"twin": "two beds", "double": "one large bed", "single": "a single bed"},
                    "single",
                    "It should have {}.",
                ),
                t.flag("breakfast", "Whether breakfast is included.", "Include breakfast."),
            ),
        ),
        Template(
            "cancel_room_booking",
            "Cancel the booking of a room by its number.",
            ("Cancel the room booking {booking}.", "The room booking {booking} is not needed any more: cancel it."),
            (
                t.text("booking", "The number of the booking.", v.code("B")),
                t.flag("notify", "Whether to tell the guests.", "Tell the guests about it."),
            ),
            follows=True,
        ),
    ),
    "trains": (
        Template(
            "find_trains",
            "Look up the trains between two cities, without buying anything.",
            (
                "Which trains go from {origin} to {destination} on {date}?",
                "Look up trains on {date} from {origin} to {destination}.",
            ),
            (
                t.text("origin", "The city where the journey begins.", v.names(words.CITIES[:15])),
                t.text("destination", "The city where the journey ends.", v.names(words.CITIES[15:])),
                t.date(),
                t.flag(
                    "direct_only",
                    "Whether to leave out trains that one has to change.",
                    "I do not want to change trains.",
                ),
                Parameter(
                    "max_price",
                    {"type": "float"},
                    "The highest price; 0 for any.",
                    v.money,
                    0.0,
                    "It must not cost more than {}.",
                ),
            ),
        ),
        Template(
            "buy_train_tickets",
            "Buy tickets for a train that is known by its time.",
            (
                "Buy {passengers} tickets for the train from {origin} to {destination} at {time} on {date}.",
                "Get me {passengers} train tickets, {origin} to {destination}, for the train at {time} on {date}.",
            ),
            (
                t.text("origin", "The city where the journey begins.", v.names(words.CITIES[:15])),
                t.text("destination", "The city where the journey ends.", v.names(words.CITIES[15:])),
                t.date(),
                t.time("time", "The time of the departure"),
                Parameter("passengers", {"type": "integer"}, "The number of passengers.", v.count(2, 13)),
                t.choice(
                    "travel_class",
                    "The class.",
                    {"first": "the first class", "second": "the second class", "sleeper": "a sleeping car"},
                    "second",
                    "We want to travel in {}.",
                ),
            ),
        ),
        Template(
            "refund_train_ticket",
            "Give a train ticket back and get the money.",
            ("Give the train ticket {ticket} back, because of this: {reason}.",),
            (
                t.text("ticket", "The number of the ticket.", v.code("T")),
                t.text("reason", "Why, without the quotes.", v.phrase),
            ),
            follows=True,
        ),
    ),
    "parcels": (
        Template(
            "ship_parcel",
            "Send a parcel to an address.",
            (
                "Send a parcel of {grams} grams to {recipient}, {address}.",
                "Ship {grams} grams to {recipient} at {address}.",
            ),
            (
                t.text("recipient", "The full name of who gets it.", v.person),
                Parameter("address", t.ADDRESS, "Where it goes.", v.address),
                Parameter("grams", {"type": "integer"}, "The weight in grams.", v.count(50, 9000)),
                Parameter(
                    "insured_value",
                    {"type": "float"},
                    "The value to insure; 0 for none.",
                    v.money,
                    0.0,
                    "Insure it for {}.",
                ),
                t.flag("signature", "Whether somebody has to sign for it.", "Somebody has to sign for it."),
            ),
        ),
        Template(
            "collect_parcel",
            "Have a parcel fetched from an address.",
            (
                "Have a parcel fetched from {sender}, {address}, on {date}.",
                "On {date}, a parcel should be fetched at {address}, from {sender}.",
            ),
            (
                t.text("sender", "The full name of who gives it.", v.person),
                Parameter("address", t.ADDRESS, "Where it is.", v.address),
                t.date(),
                t.choice(
                    "part_of_day",
                    "When the driver comes.",
                    {
                        "morning": "in the morning",
                        "afternoon": "in the afternoon",
                        "evening": "in the evening",
                        "any": "at any time",
                    },
                    "any",
                    "The driver should come {}.",
                ),
            ),
        ),
        Template(
            "track_parcel",
            "Tell where a parcel is.",
            ("Where is the parcel {parcel}?",),
            (t.text("parcel", "The number of the parcel.", v.code("P")),),
            follows=True,
        ),
    ),
    "home": (
        Template(
            "set_heating",
            "Set the temperature of a room.",
            ("Heat the {room} to {degrees} degrees.", "Set the heating of the {room} to {degrees} degrees."),
            (
                t.text("room", "The room.", v.names(words.ROOMS)),
                Parameter("degrees", {"type": "float"}, "The temperature.", v.degrees),
                Parameter(
                    "until",
                    t.STRING,
                    "Until when, as HH:MM; 23:59 for the whole day.",
                    v.clock,
                    "23:59",
                    "Only until {}.",
                ),
            ),
        ),
        Template(
            "set_lights",
            "Set the lights of several rooms.",
            ("Set the lights of these rooms to {brightness} percent: {rooms}.",),
            (
                Parameter(
                    "rooms",
                    t.NAMES,
                    "The rooms, in the order in which they are named.",
                    v.several(v.names(words.ROOMS), 2, 3),
                ),
                Parameter("brightness", {"type": "integer"}, "The brightness in percent.", v.count(5, 95)),
                t.choice(
                    "color",
                    "The color.",
                    {"white": "white", "amber": "amber", "blue": "blue"},
                    "white",
                    "Make them {}.",
                ),
            ),
        ),
        Template(
            "run_device",
            "Let a device run for some time.",
            ("Let the {device} run for {minutes}.", "Run the {device}: {minutes}."),
            (
                t.text("device", "The device.", v.names(words.DEVICES)),
                t.MINUTES,
                Parameter("start", t.STRING, "When to begin, as HH:MM, or now.", v.clock, "now", "Begin at {}."),
            ),
        ),
    ),
}
"""Area to its functions."""
