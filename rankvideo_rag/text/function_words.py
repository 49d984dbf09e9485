"""Function words and question words of the main languages: words that carry no information by themselves.

Grammatical words only: articles, pronouns, prepositions, conjunctions, auxiliaries, negations, adverbs of degree, and the words
that ask. For English also words that ask for evidence rather than describe it ("show", "say", "clip"). Numbers are no function
words, not even "one" of languages where it is an article too, unless it is that far more often.
"""

# Written as they are, with accents, in lower case. The order decides between languages that fit a text equally well.
WORDS = {
    "en": """a about after again all also am an and any are as at be because been before being both but by can cannot
        could did do does doing during each either else ever every few for from had has have having he her here hers
        herself him himself his how however i if in into is it its itself just let many may me might mine more most much
        must my myself neither no nor not of off often on once only onto or other our ours out over own please quite
        rather same shall she should since so some still such than that the their theirs them themselves then there these
        they this those though through thus to too toward towards under until up upon us very was we were what when where
        whether which while who whom whose why will with within without would yet you your yours don doesn didn isn aren
        wasn weren hasn haven hadn couldn wouldn shouldn mustn clip clips video videos say says said show shown shows tell
        told""",
    "de": """ab aber alle allem allen aller alles als also am an ander andere anderem anderen anderer anderes auch auf aus
        außer bei beim bin bis bist da dabei dadurch dafür dagegen daher damit danach daran darauf daraus darf darin
        darüber darum das dass davon davor dazu dein deine deinem deinen deiner dem den denen denn der deren des dessen
        dich die dies diese diesem diesen dieser dieses dir doch dort du durch dürfen ein eine einem einen einer eines er
        es etwa etwas euch euer eure für gab gar gegen gibt habe haben hast hat hatte hätte hatten hätten her hier hin
        hinter ich ihm ihn ihnen ihr ihre ihrem ihren ihrer im in ins ist ja jede jedem jeden jeder jedes jene jenem jenen
        jener jenes kann kannst kein keine keinem keinen keiner können könnte man manche mehr mein meine meinem meinen
        meiner mich mir mit muss müssen musste nach nein nicht nichts noch nun nur ob oder ohne schon sehr seid sein seine
        seinem seinen seiner seit selbst sich sie sind so solche soll sollen sollte sondern sonst sowie über um und uns
        unser unsere unter vom von vor war wäre waren wann warum was wegen weil welche welchem welchen welcher welches wem
        wen wenn wer werde werden wessen weshalb wie wieder wieso wieviel viel viele vielen wieviele will wir wird wo
        wobei wodurch wofür wogegen woher wohin wollen womit wonach woran worauf woraus worin worüber worum wovon wozu
        wurde würde wurden würden zu zum zur zwar zwischen""",
    "es": """a acerca además ahora al algo alguien algún alguna algunas alguno algunos ante antes aquel aquella aquellas
        aquello aquellos aquí así aún aunque bajo bien cada como cómo con contra cual cuál cuales cuáles cualquier cuando
        cuándo cuanta cuánta cuantas cuántas cuanto cuánto cuantos cuántos de del desde después donde dónde durante e el
        él ella ellas ello ellos en entre era eran eres es esa esas ese eso esos esta está estaba estaban estamos están
        estar estas este esto estos estoy estuvo fue fueron ha había habían haber habrá habría hace hacia han hasta hay
        haya he hemos la las le les lo los más me mi mí mis mucha muchas mucho muchos muy nada ni ningún ninguna ninguno
        no nos nosotros nuestra nuestras nuestro nuestros o os otra otras otro otros para pero poco por porque qué que
        quien quién quienes quiénes se sea según ser será sería si sí sido siempre sin sino sobre solo sólo somos son soy
        su sus suya suyo también tan tanto te tener tengo ti tiene tienen toda todas todo todos tras tu tú tus u un una
        unas uno unos usted ustedes ya y yo""",
    "fr": """à afin ai ainsi alors après as assez au aucun aucune aussi autre autres aux avaient avait avant avec avez
        avoir avons beaucoup bien car ce ceci cela celle celles celui cependant ces cet cette ceux chaque chez combien
        comme comment contre dans de déjà depuis des dès deçà donc dont du durant elle elles en encore entre es est et
        étaient était étant été être eu eut fait furent fut il ils je jusque la là laquelle le lequel les lesquelles
        lesquels leur leurs lors lorsque lui ma mais me même mêmes mes moi moins mon ne ni non nos notre nous on ont ou où
        par parce parmi pas pendant peu peut peuvent plus pour pourquoi puis quand que quel quelle quelles quels qui quoi
        sa sans se selon sera seront ses si soi soit sommes son sont sous suis sur ta te tes toi ton toujours tous tout
        toute toutes très tu un une vers voici voilà vos votre vous y""",
    "it": """a abbiamo ad agli ai al alcun alcuna alcuni all alla alle allo altra altre altri altro anche ancora avere
        aveva avevano c che chi ci coi col come con contro cosa così cui da dagli dai dal dall dalla dalle dallo degli dei
        del dell della delle dello dentro di dopo dove dunque e è ed era erano essere fa fra fu furono già gli ha hai
        hanno ho i il in io la le lei li lo loro lui ma me mentre mi mia mie miei mio molta molte molti molto ne negli nei
        nel nell nella nelle nello nessun nessuna nessuno noi non nostra nostre nostri nostro o ogni oltre per perché
        perciò però più poco poi prima pure qual quale quali qualche quando quant quanta quante quanti quanto quel quell
        quella quelle quelli quello questa queste questi questo qui sarà se sei sempre senza si sì sia siamo sono sopra
        sotto sta stata state stati stato su sua sue sugli sui sul sulla sulle sullo suo suoi tra troppo tu tua tue tuo
        tuoi tutta tutte tutti tutto un una uno vi voi vostra vostro""",
    "pt": """a à ainda além algo alguém algum alguma algumas alguns ante antes ao aos apenas após aquela aquelas aquele
        aqueles aquilo as às assim até bem cada com como contra cuja cujo da das de dela delas dele deles depois desde do
        dos durante e é ela elas ele eles em enquanto entre era eram essa essas esse esses esta está estão estar estas
        estava este estes eu foi foram há isso isto já lhe lhes mais mas me mesma mesmo meu meus minha minhas muita muitas
        muito muitos na nas não nem nenhum nenhuma no nos nós nossa nossas nosso nossos num numa o onde os ou outra outras
        outro outros para pela pelas pelo pelos pois por porque porquê pouco qual quais qualquer quando quanta quantas
        quanto quantos que quê quem são se sem sempre sendo ser será seu seus si sido sob sobre só sua suas também tanto
        te tem têm ter teu teve tinha tinham toda todas todo todos tu tua um uma umas uns você vocês""",
    "nl": """aan al alle alles als altijd andere ben bent bij daar daarom dan dat de deze die dit doch doen door dus een
        elk elke en er geen haar had hadden heb hebben heeft hem het hier hij hoe hoeveel hun iets ik in is ja je jij jou
        jouw jullie kan kunnen maar me meer men met mij mijn moet moeten na naar nadat niet niets nog nu of om omdat onder
        ons onze ook op over sinds te tegen toch toen tot tussen u uit uw van vanaf veel voor waar waarom waarin waarmee
        waarvan wanneer want waren was wat we wel welk welke werd werden wie wij wil worden wordt zal ze zelf zich zij
        zijn zo zoals zonder zou zouden""",
    "tr": """acaba ama ancak ben beni benim bir biri biz bizim bu bunu bunun çok çünkü da daha de değil defa diye eğer en
        gibi hangi hangisi hem hep hepsi her hiç için ile ise kaç kadar ki kim kime kimin mı mi mu mü nasıl ne neden nedir
        nerede nereden nereye nesi niçin niye o olan olarak oldu olduğu on ona onlar onu onun sadece sen siz şey şu tüm ve
        veya var ya yani yok""",
    "vi": """ai anh bao bằng bị bởi các cái cho chưa có còn của cũng cùng do đã đang đâu đây để đến đi đó được gì hay hoặc
        khi không là lại làm lên mà mấy mỗi một nào này nên nếu nhiêu như những nhưng ở ra rằng rất sao sẽ tại thế thì
        theo trên trong từ vào về vì và với""",
    "ru": """а без бы был была были было быть в вам вас весь во вот все всё всех вы где да даже для до его её если есть
        еще ещё же за и из или им их к как какая какие какой какое каком когда кого ком кому которая которое которые
        который кто куда ли либо между меня мне много можно мой мы на над нам нас не него неё нет ни них но ну о об один
        он она они оно от откуда очень по под почему при про с сам свой себя сколько со так также такой там то тогда того
        тоже только тот ты у уж хотя чего чем через чей что чтобы чьё чья эта эти это этого этой этом этот я""",
    "ar": """أن إن أنا أنت أو أي أين إلى إلا أم أما التي الذي الذين الى ان او اي اين ب بعد بل بين تلك ثم حتى حول حيث دون
        ذلك ذات سوف عن عند على علي غير ف في فيه فيها قبل قد ك كان كانت كل كم كما كيف ل لا لأن لكن لم لماذا لن له لها ما
        ماذا مع من متى منذ نحن هذا هذه هل هم هنا هناك هو هي و يكون""",
    "hi": """अपना अपनी अपने आप इन इस इसका इसकी इसके उन उनका उनकी उनके उस उसका उसकी उसके एवं और कब कर करता करती करते करना कहाँ कहां
        का कि कितना कितनी कितने किस किसका किसकी किसके किसने की कुछ के को कोई कौन कौनसा क्या क्यों गई गए गया जब जहाँ जा जाता जाती
        जाते जैसे जो तक तब तो था थी थे द्वारा दिया न नहीं ने पर बहुत भी मगर में मैं यदि यह यहाँ या ये रहा रही रहे लेकिन लिए वह वहाँ वाला
        वाली वाले वे से हम है हैं हो होता होती होते होना हुआ हुई हुए ही""",
}

# English words of content that are function words elsewhere: they are no evidence for the other language.
HOMOGRAPHS = frozenset(
    "bald bin car come comment das den die dies hat main man men mine mon pour sale sin son tan van war wit".split()
)

# Words of scripts without spaces, found anywhere in a run of characters, unless a longer word of content holds them.
CHINESE = """的 了 吗 嗎 呢 吧 啊 么 麼 是 在 有 和 与 與 或 也 都 就 还 還 把 被 让 讓 从 從 到 对 對 向 给 給 这 這 那
    哪 谁 誰 何 几 幾 之 其 而 什么 什麼 甚么 甚麼 怎么 怎麼 怎样 怎樣 怎么样 怎麼樣 如何 为什么 為什麼 为何 為何 哪里
    哪裡 哪裏 哪儿 哪兒 哪个 哪個 哪些 哪位 哪一 多少 几个 幾個 几点 幾點 什么时候 什麼時候 何时 何時 何处 何處 是否
    是不是 有没有 有沒有 这个 這個 那个 那個 这些 這些 那些 这里 這裡 那里 那裡 我们 我們 你们 你們 他们 他們 她们 她們
    它们 它們 我 你 您 他 她 它 因为 因為 所以 但是 如果 可以 以及 请问 請問 一个 一個"""
CHINESE_DEGREE = "多(?=[高長长久重大遠远深寬宽快])"  # how high, how long
CHINESE_CONTENT = """目的 的士 的确 的確 了解 了不起 是非 现在 現在 存在 所在 实在 實在 有限 有名 有趣 有机 有機 和平 和尚
    和谐 和諧 饱和 飽和 总和 總和 成都 首都 都市 大都 古都 成就 就业 就業 还原 還原 参与 參與 把握 把手 对面 對面 对手
    對手 对象 對象 反对 反對 方向 向导 嚮導 给予 給予 到达 到達 迟到 遲到 几何 幾何 几乎 其他 其它 他人 吉他 其中 让步
    從前 从前 从来 從來 服从 服從 那么 那麼 什邡 之后 之前 之間 之间"""
THAI = """อะไร ที่ไหน ที่ใด เมื่อไร เมื่อไหร่ เมื่อใด ใคร ทำไม อย่างไร ยังไง เท่าไร เท่าไหร่ เท่าใด กี่ ไหม หรือไม่ หรือเปล่า คือ และ หรือ ของ ที่ ใน
    จาก เป็น ได้ ครับ ค่ะ"""
# Words that end a run of hiragana, several in a row, and words that ask.
JAPANESE = """は が を に で と も の へ や か ね よ から まで より では には とは での への です でした ます ました
    ません でしょう ですか ますか ましたか だ だった である いる いた います いました いますか ある あった あります
    ありました する した して している しています しました される された されました れる れた られる られた られました
    という といった どこ どちら どれ どの どんな どう どうして どうやって なぜ なに なん いつ だれ いくつ いくら この その
    あの これ それ あれ ここ そこ あそこ ください くらい ぐらい ごろ だけ など"""
JAPANESE_ASKING = "何 誰 何時 何年 何人 何故 幾つ"
# Particles and endings of Korean words, and words that ask.
KOREAN = """은 는 이 가 을 를 에 에서 에게 한테 께 의 로 으로 와 과 랑 이랑 도 만 까지 부터 보다 처럼 이나 나 라고 이라고
    입니까 입니다 습니까 습니다 나요 인가요 가요 었나요 았나요 었습니까 았습니까 었습니다 았습니다 이에요 예요 인가 니까
    요"""
KOREAN_ASKING = "무엇 뭐 무슨 어디 누구 누가 언제 왜 어떻게 어떤 어느 얼마 얼마나 몇 이 그 저 것"
