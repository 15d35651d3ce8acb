"""Functions for letters, orders, appointments and money."""

from __future__ import annotations

from collections.abc import Mapping

from acenv.envs.tools.bfcl import templates as t
from acenv.envs.tools.bfcl import values as v
from acenv.envs.tools.bfcl.templates import Parameter, Template

OFFICE: Mapping[str, tuple[Template, ...]] = {
    "mail": (
        Template(
            "send_email",
            "Send a letter by e-mail at once.",
            (
                "Write an e-mail to {to} with the subject {subject} and the text {body}.",
                "E-mail {to}. The subject is {subject}, the text is {body}.",
            ),
            (
                t.text("to", "The address.", v.email),
                t.text("subject", "The subject, without the quotes.", v.phrase),
                t.text("body", "The text, without the quotes.", v.phrase),
                Parameter(
                    "copies",
                    t.NAMES,
                    "Addresses that get a copy, in the order in which they are named.",
                    v.several(v.email, 2, 3),
                    [],
                    "Send copies to {}.",
                ),
            ),
        ),
        Template(
            "schedule_email",
            "Have a letter sent by e-mail at a later time.",
            ("On {date} at {time}, an e-mail with the subject {subject} has to go to {to}: schedule it.",),
            (
                t.text("to", "The address.", v.email),
                t.text("subject", "The subject, without the quotes.", v.phrase),
                t.date(),
                t.time(),
                t.choice(
                    "priority",
                    "How important it is.",
                    {"low": "low", "normal": "normal", "high": "high"},
                    "normal",
                    "Its priority is {}.",
                ),
            ),
        ),
        Template(
            "recall_email",
            "Take back an e-mail that was sent.",
            ("Take back the e-mail {letter}.",),
            (t.text("letter", "The number of the e-mail.", v.code("E")),),
            follows=True,
        ),
    ),
    "shop": (
        Template(
            "place_order",
            "Order goods for a customer.",
            ("{customer} orders {items}: enter the order.", "Place an order of {customer}: {items}."),
            (
                t.text("customer", "The full name of the customer.", v.person),
                Parameter("items", t.LINES, "What is ordered, in the order in which it is named.", v.lines),
                t.flag("express", "Whether it is sent by express.", "Send it by express."),
                Parameter(
                    "discount",
                    {"type": "integer"},
                    "The discount in percent.",
                    v.count(2, 40),
                    0,
                    "There is a discount of {} percent.",
                ),
            ),
        ),
        Template(
            "price_offer",
            "Make a customer an offer with prices. Nothing is ordered by it.",
            ("{customer} wants an offer for {items}.", "Make an offer for {customer} about {items}."),
            (
                t.text("customer", "The full name of the customer.", v.person),
                Parameter("items", t.LINES, "What is wanted, in the order in which it is named.", v.lines),
                t.choice(
                    "currency",
                    "The currency of the prices.",
                    {"francs": "francs", "pesos": "pesos", "crowns": "crowns"},
                    "crowns",
                    "Give the prices in {}.",
                ),
            ),
        ),
        Template(
            "return_goods",
            "Take back goods of an order.",
            ("Of order {order}, these come back: {items}.",),
            (
                t.text("order", "The number of the order.", v.code("O")),
                Parameter("items", t.LINES, "What comes back, in the order in which it is named.", v.lines),
                t.choice(
                    "refund",
                    "How the money is given back.",
                    {"account": "to the account", "cash": "in cash", "voucher": "as a voucher"},
                    "account",
                    "Give the money back {}.",
                ),
            ),
            follows=True,
        ),
    ),
    "calendar": (
        Template(
            "create_meeting",
            "Put a meeting into the calendars of several people.",
            (
                "Put the meeting {title} into the calendar: {date}, {time}, {minutes}, with {attendees}.",
                "{attendees} meet on {date} at {time} for {minutes}. Create the meeting, under the title {title}.",
            ),
            (
                t.text("title", "The title, without the quotes.", v.phrase),
                t.PEOPLE,
                t.date(),
                t.time(),
                t.MINUTES,
                t.flag("online", "Whether it is held online.", "It is held online."),
            ),
        ),
        Template(
            "find_free_time",
            "Find out when several people are free on a day. Nothing is put into their calendars.",
            (
                "When are {attendees} free for {minutes} on {date}?",
                "On {date}, find {minutes} for which {attendees} are all free.",
            ),
            (
                t.PEOPLE,
                t.date(),
                t.MINUTES,
                Parameter(
                    "earliest",
                    t.STRING,
                    "The earliest time, as HH:MM.",
                    v.clock,
                    "08:00",
                    "It must not begin before {}.",
                ),
            ),
        ),
        Template(
            "create_reminder",
            "Have yourself reminded of something.",
            ("Remind me of {text} on {date} at {time}.",),
            (
                t.text("text", "What of, without the quotes.", v.phrase),
                t.date(),
                t.time(),
                t.choice(
                    "repeat",
                    "How often it comes again.",
                    {"never": "never", "daily": "every day", "weekly": "every week", "monthly": "every month"},
                    "never",
                    "Repeat that {}.",
                ),
            ),
        ),
    ),
    "bank": (
        Template(
            "transfer_money",
            "Move money from one account to another.",
            (
                "Transfer {amount} from account {source} to account {target}.",
                "Move {amount} to account {target}, out of {source}.",
            ),
            (
                t.text("source", "The account that pays.", v.code("A")),
                t.text("target", "The account that is paid.", v.code("A")),
                Parameter("amount", {"type": "float"}, "How much.", v.money),
                Parameter(
                    "reference",
                    t.STRING,
                    "What it is for, without the quotes.",
                    v.phrase,
                    "transfer",
                    "The reference is {}.",
                ),
            ),
        ),
        Template(
            "standing_order",
            "Have money moved from one account to another again and again.",
            ("From {start} on, move {amount} every month from account {source} to {target}.",),
            (
                t.text("source", "The account that pays.", v.code("A")),
                t.text("target", "The account that is paid.", v.code("A")),
                Parameter("amount", {"type": "float"}, "How much each month.", v.money),
                t.date("start", "The date of the first payment"),
                Parameter(
                    "payments",
                    {"type": "integer"},
                    "How many payments; 0 for no end.",
                    v.count(3, 36),
                    0,
                    "Stop after {} payments.",
                ),
            ),
        ),
        Template(
            "stop_payment",
            "Stop a payment that was ordered.",
            ("Stop the payment {payment}.",),
            (t.text("payment", "The number of the payment.", v.code("Z")),),
            follows=True,
        ),
    ),
}
"""Area to its functions."""
