"""Irregular forms of English verbs and nouns, which no rule about endings finds.

A question with "did" has the verb that the answer has in the past: "Which did they choose?", "They chose the red one."
Forms that are also another word are left out: "left", "saw", "rose", "spoke", "felt", "leaves".
"""

_VERBS = """
become became
begin began begun
blow blew blown
break broke broken
bring brought
build built
burn burnt
buy bought
catch caught
choose chose chosen
come came
deal dealt
dig dug
draw drew drawn
drink drank
drive drove driven
eat ate eaten
fall fell fallen
feed fed
fight fought
find found
fly flew flown
forget forgot forgotten
forgive forgave forgiven
freeze froze frozen
get got gotten
give gave given
go went gone
grow grew grown
hang hung
hear heard
hide hid hidden
hold held
keep kept
know knew known
lead led
learn learnt
lend lent
lose lost
make made
mean meant
meet met
pay paid
ride rode ridden
rise risen
ring rang
run ran
see seen
seek sought
say said
sell sold
send sent
shake shook shaken
shine shone
shoot shot
sing sang sung
sink sank sunk
sit sat
sleep slept
speak spoken
spend spent
stand stood
steal stolen
stick stuck
strike struck
swear swore sworn
sweep swept
swim swam swum
take took taken
teach taught
tear tore torn
tell told
think thought
throw threw thrown
understand understood
wear wore worn
win won
write wrote written
"""
_NOUNS = """
man men
woman women
child children
foot feet
tooth teeth
goose geese
mouse mice
half halves
knife knives
loaf loaves
shelf shelves
thief thieves
wife wives
wolf wolves
"""
BASE_FORMS = {form: forms[0] for line in (_VERBS + _NOUNS).splitlines() for forms in [line.split()] for form in forms[1:]}
