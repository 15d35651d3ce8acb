"""What the shops of medium and hard tasks sell: kinds of product, attributes in several wordings, options."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of product.

    Attributes:
        name: What it is usually called; the word that a category is named after.
        synonym: Another name for exactly the same thing.
        materials: What it may be made of.
        price: Lowest and highest price in dollars.
    """

    name: str
    synonym: str
    materials: tuple[str, ...]
    price: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Attribute:
    """Something that a product can be or have, as the end of a sentence that starts with *it*.

    Attributes:
        name: The plain wording, which is also its name.
        wordings: All wordings, the plain one first; it follows from each of them.
        lack: What is said of a product that is the opposite; shares words with the others, to mislead a quick reader.
    """

    name: str
    wordings: tuple[str, ...]
    lack: str


@dataclass(frozen=True, slots=True)
class Department:
    """Kinds of product that share attributes and options.

    Attributes:
        path: The two upper levels of the category.
        kinds: What is sold.
        places: What a product may be for; part of its title.
        attributes: What may be true of a product.
        options: What can be chosen when buying, by name; later values may cost more.
        notes: Sentences for descriptions that say nothing about any attribute.
    """

    path: tuple[str, str]
    kinds: tuple[Kind, ...]
    places: tuple[str, ...]
    attributes: tuple[Attribute, ...]
    options: tuple[tuple[str, tuple[str, ...]], ...]
    notes: tuple[str, ...]


_BRANDS = """
    Halden Brixby Corvale Dunmore Elswick Farrow Glenrae Hexley Ivarson Jorvik Kelbrook Lunden Merrow Norvane Oakham
    Pellard Quillon Ravell Skerrit Tolland Ulverson Varnay Wexcombe Yarrow"""
_SERIES = """
    Aster Basil Cedar Delta Ember Fjord Gale Heron Indigo Juniper Kestrel Larch Meadow Nimbus Orchid Prairie Quartz
    Rowan Sierra Tundra Umber Vesper Willow Zephyr"""
BRANDS = tuple(_BRANDS.split())
SERIES = tuple(_SERIES.split())
SHADES = ("red", "blue", "green", "black", "white", "grey", "brown", "orange")


def _kinds(text: str) -> tuple[Kind, ...]:
    kinds = []
    for line in text.strip().splitlines():
        name, synonym, materials, price = (part.strip() for part in line.split("|"))
        low, high = price.split()
        kinds.append(Kind(name, synonym, tuple(materials.split()), (int(low), int(high))))
    return tuple(kinds)


def _attributes(text: str) -> tuple[Attribute, ...]:
    attributes = []
    for line in text.strip().splitlines():
        *wordings, lack = line.split("; ")
        attributes.append(Attribute(wordings[0], tuple(wordings), lack))
    return tuple(attributes)


def _lines(text: str) -> tuple[str, ...]:
    return tuple(line.strip() for line in text.strip().splitlines())


# Attributes, one a line: the plain wording, others from which it follows, and what is said of a product that lacks it.

_APPLIANCES = """
has a heat resistant handle; has a handle that stays cool; can be gripped safely while hot; gets hot at the handle
is easy to clean; wipes clean in seconds; needs no scrubbing; takes patience to clean
is free of bpa; contains no bpa; touches food only with bpa free parts; has not been tested for bpa
is quiet; makes hardly any noise; does not wake anybody at night; is on the loud side
shuts off automatically; switches itself off when it is done; needs nobody to turn it off; must be switched off by hand
saves energy; uses little power; is easy on the electricity bill; draws a lot of power
is compact; takes up little room on the counter; fits into a narrow shelf; wants a wide counter
has a digital display; shows its settings on a screen; tells its state in digits; has dials in place of a display
has a long power cord; reaches distant sockets; has two metres of cable; has a short cable
has a two year warranty; is guaranteed for two years; is repaired for free for 24 months; has a one year warranty
"""

_COOKWARE = """
is nonstick; lets food slide right off; needs almost no fat; needs oil so that nothing sticks
is dishwasher safe; can be washed in the machine; survives every dishwasher programme; must stay out of the dishwasher
is oven safe; can go into a hot oven; takes oven heat up to 250 degrees; must not be put into an oven
works on induction; suits induction hobs; is made for every hob, induction too; is for gas, not for induction hobs
heats evenly; spreads heat without hot spots; browns everything alike; is hottest in the middle
is scratch resistant; shrugs off metal spoons; keeps its surface under a knife; scratches if you use metal spoons
is lightweight; is easy to lift; weighs next to nothing; is a heavy piece
comes with a lid; includes a matching cover; can be closed with its own lid; is sold without its lid
has a pouring spout; pours without a spill; has a lip for pouring; has a plain rim without a spout
is rustproof; never rusts; stays free of rust for good; rusts unless it is dried
"""

_FURNITURE = """
is easy to assemble; goes together in minutes; needs no tools to be set up; takes two people and tools to set up
has hidden storage; keeps things out of sight inside; has a secret compartment; has no storage inside
supports heavy loads; bears up to 200 kilograms; does not bend under weight; is for light loads only
has adjustable feet; can be levelled on uneven floors; stands straight on any floor; wobbles on uneven floors
is easy to move; rolls on castors; can be pushed around by one person; stays where it stands once set up
protects the floor; has felt under its feet; leaves no marks on parquet; may leave marks on parquet
is water resistant; shrugs off spilled drinks; is not harmed by moisture; suffers from spilled drinks
is free of odour; gives off no smell; can be used at once, without airing; smells of varnish at first
is made from recycled material; gives old material a second life; is mostly reused material; is all new material
has rounded corners; has no sharp edges; is safe for running children; has crisp sharp corners
"""

_TEXTILES = """
is machine washable; can go into the washing machine; is washed at forty degrees; has to be dry cleaned
is hypoallergenic; suits people with allergies; does not bother sensitive skin; may bother people with allergies
dries quickly; is dry again within the hour; never stays damp for long; stays damp for a while
keeps its colour; does not fade in the sun; looks as bright after years; fades a little in the sun
is extra soft; feels like a cloud; is gentle to the touch; feels firm and a little rough
does not shed fibres; leaves no fluff behind; never loses a thread; leaves some fluff at first
is flame retardant; resists fire; does not catch fire easily; must be kept away from fire
keeps out the cold; holds warmth in the room; insulates well in winter; is thin and meant for summer
is certified organic; comes from fields without pesticides; has an organic label; carries no organic label
has reinforced seams; is stitched twice at the edges; does not tear at the edges; has plain single seams
"""

_CLOTHING = """
is machine washable; can go into the washing machine; is washed at thirty degrees; has to be washed by hand
is breathable; lets air through; does not make you sweat; lets little air through
does not shrink; keeps its size in the wash; fits after many washes as on day one; may shrink in the first wash
is wrinkle free; needs no ironing; comes out of the case smooth; should be ironed
has deep pockets; holds a phone and keys; has room for things in its pockets; has no pockets
is reversible; can be worn inside out; has two sides to show; has one right side
is windproof; keeps out the wind; stops every gust; lets strong wind through
has reflective strips; can be seen in the dark; shines in headlights; is hard to see in the dark
does not itch; feels fine on bare skin; never scratches the skin; itches some people
is fair trade; was made for fair wages; was sewn by people who are paid fairly; has no fair trade label
"""

_LUGGAGE = """
is waterproof; keeps rain out; stays dry inside in a downpour; gets wet in heavy rain
has a laptop sleeve; holds a computer in padding; has a padded slot for a notebook computer; has no padding for a laptop
blocks rfid readers; shields cards from scanners; keeps chip cards unread; does not shield cards
is scuff resistant; shows no scrapes; still looks new after rough handling; shows scrapes soon
has a hidden pocket; conceals money in a secret place; has a compartment that thieves miss; has open pockets only
has metal zips; closes with zips of metal; has zips that do not break; closes with plastic zips
can be locked; has a combination lock; closes with a code; cannot be locked
is lightweight; weighs next to nothing; is hardly felt when carried; is on the heavy side
folds flat; can be stored folded; takes no space when empty; keeps its shape when empty
is stain resistant; sheds coffee and mud; does not take on stains; stains easily
"""

_ACCESSORIES = """
charges by usb c; fills its battery through usb c; takes a usb c cable; is charged with a barrel plug
survives drops; is not harmed by a fall; can be dropped from a table; should not be dropped
is splash proof; does not mind a few drops of water; can be used in drizzle; must be kept away from water
connects by bluetooth; pairs with phones without a wire; links to phones over bluetooth; has no bluetooth
shows the battery level; tells how much charge is left; has lights that count down its charge; hides its charge
has a carrying strap; hangs from the wrist; comes with a loop to carry it; has no loop to carry it
is dustproof; keeps dust out; is sealed against sand; lets dust in
works in the cold; runs below zero; does not fail in frost; fails in frost
has a two year warranty; is guaranteed for two years; is repaired for free for 24 months; has a one year warranty
has a metal clip; clips to a belt; holds on to a pocket; has nothing to clip it on
"""

_CAMPING = """
is lightweight; weighs next to nothing; is hardly felt in a pack; is on the heavy side
is leakproof; does not lose a drop; stays tight upside down; may drip when tilted
comes with a bag; includes a pouch to carry it; is stowed in its own bag; is sold without a bag
resists sunlight; is not harmed by uv rays; stays strong in the sun; grows brittle in the sun
is easy to clean; wipes clean in seconds; needs a wet cloth and nothing else; takes patience to clean
resists mould; does not go mouldy; may be packed away damp; goes mouldy if packed damp
supports heavy loads; bears up to 200 kilograms; holds two adults; is for light loads only
has a repair kit; comes with patches; can be mended with what lies in the box; comes without patches
floats on water; does not sink; can be fished out of a lake; sinks in water
has a lifetime warranty; is replaced for ever; is guaranteed as long as you live; is guaranteed for one season
"""

DEPARTMENTS: tuple[Department, ...] = (
    Department(
        ("Home", "Appliances"),
        _kinds(
            """kettle | water boiler | steel glass copper ceramic | 18 75
            coffee maker | coffee machine | steel glass plastic aluminium | 30 140
            blender | smoothie maker | steel glass plastic tritan | 25 120
            toaster | bread toaster | steel plastic chrome aluminium | 20 90"""
        ),
        ("kitchens", "offices", "caravans", "dormitories"),
        _attributes(_APPLIANCES),
        (
            ("colour", SHADES),
            ("plug", ("type A plug", "type F plug", "type G plug")),
            ("set", ("single", "gift box", "with spare filter")),
        ),
        _lines(
            """Our cooks have tried it in more than thirty kitchens.
            The manual comes in six languages.
            A recipe booklet lies in the box."""
        ),
    ),
    Department(
        ("Home", "Cookware"),
        _kinds(
            """frying pan | skillet | steel iron copper aluminium | 15 95
            stock pot | soup pot | steel enamel copper aluminium | 25 120
            baking tray | baking sheet | steel enamel silicone aluminium | 10 45
            casserole | oven dish | ceramic enamel glass iron | 20 130"""
        ),
        ("families", "campers", "bakers", "beginners"),
        _attributes(_COOKWARE),
        (("colour", SHADES), ("size", ("20 cm", "24 cm", "28 cm", "32 cm")), ("set", ("single", "set of two"))),
        _lines(
            """A foundry in the hills has made this line since 1951.
            The first use is explained on the label.
            Every piece is checked by hand before it is packed."""
        ),
    ),
    Department(
        ("Home", "Furniture"),
        _kinds(
            """sofa | couch | oak velvet leather linen | 180 900
            nightstand | bedside table | oak pine walnut bamboo | 35 160
            bookcase | bookshelf | oak pine walnut metal | 60 320
            wardrobe | clothes closet | oak pine walnut birch | 150 800"""
        ),
        ("bedrooms", "studios", "hallways", "guests"),
        _attributes(_FURNITURE),
        (("colour", SHADES), ("size", ("narrow", "regular", "wide")), ("delivery", ("kerbside", "upstairs"))),
        _lines(
            """The drawing for it won a prize at a school of design.
            It arrives in two parcels.
            Spare screws are in a bag taped to the back."""
        ),
    ),
    Department(
        ("Home", "Textiles"),
        _kinds(
            """rug | carpet | wool jute cotton sisal | 30 260
            duvet | comforter | cotton down bamboo silk | 35 220
            curtain | drape | linen cotton velvet polyester | 18 110
            bath towel | shower towel | cotton bamboo linen microfibre | 9 48"""
        ),
        ("bathrooms", "nurseries", "hotels", "cottages"),
        _attributes(_TEXTILES),
        (
            ("colour", SHADES),
            ("size", ("small", "medium", "large", "extra large")),
            ("packing", ("paper wrap", "cotton bag")),
        ),
        _lines(
            """It is woven in a mill beside a river.
            The pattern follows an old sketch.
            A care card comes along."""
        ),
    ),
    Department(
        ("Fashion", "Clothing"),
        _kinds(
            """sweater | jumper | wool cotton cashmere acrylic | 20 130
            raincoat | rain jacket | nylon polyester rubber cotton | 30 160
            bathrobe | dressing gown | cotton bamboo fleece silk | 22 110
            beanie | knitted cap | wool cotton fleece cashmere | 8 45"""
        ),
        ("women", "men", "teenagers", "commuters"),
        _attributes(_CLOTHING),
        (("colour", SHADES), ("size", ("XS", "S", "M", "L", "XL")), ("fit", ("slim", "straight", "loose"))),
        _lines(
            """The cut was fitted on people of many shapes.
            It ships in a flat box.
            The label can be cut off without leaving a trace."""
        ),
    ),
    Department(
        ("Fashion", "Luggage"),
        _kinds(
            """backpack | rucksack | nylon canvas leather polyester | 25 170
            suitcase | travel case | polycarbonate aluminium nylon leather | 45 280
            wallet | billfold | leather canvas cork nylon | 12 80
            gym bag | sports bag | nylon canvas polyester mesh | 18 90"""
        ),
        ("travel", "school", "work", "weekends"),
        _attributes(_LUGGAGE),
        (
            ("colour", SHADES),
            ("size", ("small", "medium", "large")),
            ("lining", ("plain lining", "striped lining", "quilted lining")),
        ),
        _lines(
            """A saddler sketched the first version on a train.
            The tag has room for a name.
            It was carried around the world by our testers."""
        ),
    ),
    Department(
        ("Electronics", "Accessories"),
        _kinds(
            """speaker | loudspeaker | plastic bamboo aluminium fabric | 20 180
            power bank | portable charger | plastic aluminium titanium rubber | 15 85
            keyboard | typing board | plastic aluminium bamboo silicone | 18 150
            flashlight | torch | aluminium plastic titanium rubber | 10 70"""
        ),
        ("desks", "travel", "garages", "students"),
        _attributes(_ACCESSORIES),
        (
            ("colour", SHADES),
            ("pack", ("pack of 1", "pack of 2", "pack of 4")),
            ("cable", ("no cable", "short cable", "long cable")),
        ),
        _lines(
            """The circuit is the third revision.
            Its box is made of cardboard alone.
            Updates are explained on our page."""
        ),
    ),
    Department(
        ("Outdoor", "Camping"),
        _kinds(
            """cooler | cool box | plastic steel polyester foam | 25 190
            sleeping mat | camping mat | foam nylon cork rubber | 15 120
            vacuum bottle | thermos flask | steel titanium aluminium glass | 12 60
            hammock | hanging bed | cotton nylon canvas polyester | 18 110"""
        ),
        ("hikers", "beaches", "gardens", "festivals"),
        _attributes(_CAMPING),
        (
            ("colour", SHADES),
            ("size", ("compact", "standard", "family")),
            ("bundle", ("no extras", "with straps", "with straps and cover")),
        ),
        _lines(
            """A mountain guide helped to design it.
            The colours are those of northern lakes.
            It was tried out on three continents."""
        ),
    ),
)
