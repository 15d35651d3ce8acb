"""Common words that the generated tasks are made of; values are composed of several, so that they must be copied."""

from __future__ import annotations


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


NAMES = _words(
    """Ada Adam Aisha Alan Alba Alex Alice Ana Anton Amir Bella Ben Boris Bruno Cara Carl Cato Chen Clara Cleo Cyrus
    Dana Dario David Dora Diego Dina Edgar Ella Elias Emma Erik Eva Fatima Felix Fiona Frank Frida Gina Grace Greta
    Gustav Hana Hector Helen Hugo Ida Igor Ines Ivan Iris Jack Jana Jonas Juan Julia Kaito Karl Kate Kira Klaus Lara
    Leon Lila Lina Louis Lucia Marco Maria Maya Mila Milan Mona Nadia Nina Noah Nora Olga Omar Oscar Otto Paula
    Pedro Petra Rosa Ravi Rita Robin Sara Sami Simon Sofia Tara Theo Tina Tom Uma Vera Victor Wanda Yara Yusuf Zara
    Zoe"""
)

SURNAMES = _words(
    """Abbot Adler Baker Barnes Becker Bishop Blake Bloom Brandt Brooks Carter Castle Clark Conrad Cooper Costa Cruz
    Dalton Drake Evans Farmer Fischer Flores Foster Fowler Garcia Gibson Grant Griffin Hansen Harper Hayes Hunter Jansen
    Keller Kent Khan Klein Lambert Larsen Lopez Marsh Mason Mercer Miller Moreno Morris Mueller Navarro Nolan Novak
    Olsen Palmer Parker Perez Porter Quinn Ramos Reed Rossi Sanders Schmidt Shaw Silva Singh Slater Stone Suzuki Tanaka
    Taylor Thorne Turner Vargas Vogel Walker Weaver Weber Winter Wolf Wright Young Ziegler"""
)

NOUNS = _words(
    """anchor apple arrow basket beach bell bench bird blanket boat book bottle bowl bread bridge brush bucket button
    cabin cable camera candle carpet castle chair cheese circle clock cloud coat coffee copper corner cotton cradle
    curtain desert diamond door dragon drum eagle engine fabric falcon feather fence field finger flower forest fork
    fountain garden glass glove grain guitar hammer harbor helmet hill honey horse island jacket kettle key kitchen
    ladder lake lamp leaf lemon letter lion magnet map marble market meadow melon mirror moon mountain needle nest
    ocean olive onion orange oven paint panel paper parrot pencil pepper piano pillow planet plate pocket pond potato
    rabbit radio rain ribbon ring river road robot rocket rope rose saddle salt sand shelf shell shirt shoe silver
    snow soap spoon spring star stone stove sugar summer table tent tiger tower train tree tunnel umbrella valley vase
    violin wagon wallet water wheel whistle window winter wire wood yard"""
)

ADJECTIVES = _words(
    """amber ancient big black blue brave bright broken brown calm cheap clean clear cold cool dark deep dry early
    easy empty fast flat fresh gentle golden grand gray green happy hard heavy hidden hollow hot huge kind large late
    light little long loud lucky narrow new noble old open pale plain proud pure purple quick quiet rare red rich
    rough round sharp short silent simple slow small smooth soft solid steep strong sweet tall thin tiny warm wet
    white wide wild wise yellow young"""
)

CITIES = _words(
    """Athens Berlin Boston Cairo Delhi Dublin Geneva Havana Helsinki Lagos Lima Lisbon London Lyon Madrid Milan Nairobi
    Oslo Paris Porto Prague Quito Riga Rome Seoul Sydney Tokyo Turin Vienna Zurich"""
)

TEAMS = ("design", "finance", "legal", "research", "sales", "support")

DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")

ROOMS = ("kitchen", "office", "bedroom", "hall", "garage", "studio", "library", "cellar", "nursery", "attic")

DEVICES = ("lamp", "fan", "heater", "radio", "pump", "printer", "camera", "humidifier")

CURRENCIES = ("dinars", "francs", "guilders", "marks", "pesos", "rubles", "shillings", "talers")
