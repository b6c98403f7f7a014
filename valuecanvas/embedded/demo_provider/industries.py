"""Phrases for the nine blocks of a canvas, by line of business."""

from __future__ import annotations

from dataclasses import dataclass

BLOCKS = (
    "Key Partners",
    "Key Activities",
    "Key Resources",
    "Value Propositions",
    "Customer Relationships",
    "Channels",
    "Customer Segments",
    "Cost Structure",
    "Revenue Streams",
)


@dataclass(frozen=True, slots=True)
class Industry:
    """The words that reveal a line of business, and two phrases for each block."""

    signs: frozenset[str]
    phrases: tuple[tuple[str, str], ...]


def _industry(signs: str, *phrases: tuple[str, str]) -> Industry:
    return Industry(frozenset(signs.split()), phrases)


GENERAL = _industry(
    "",
    ("Suppliers with short delivery times", "A partner who already has the audience"),
    ("Winning the first customers and learning from them", "Daily operations"),
    ("A small team that knows the field", "Working capital for the first year"),
    ("A clear result for a fair price", "Less effort than the present way"),
    ("Personal contact at the start", "A short survey after each purchase"),
    ("Own website", "Recommendations by satisfied customers"),
    ("Early adopters with an urgent need", "Small firms and households"),
    ("Wages", "Marketing and sales"),
    ("Sale of the core offer", "Service contracts"),
)
INDUSTRIES = (
    _industry(
        "saas software app apps platform api cloud ai data developer developers tool"
        " cyber analytics automation crm",
        ("Cloud and payment providers", "Integration and reseller partners"),
        ("Product development and support", "Onboarding and keeping the service up"),
        ("Engineering team and code base", "Usage data and hosting capacity"),
        ("Works in minutes, without installation", "Replaces several manual steps"),
        ("Self-service with in-app guidance", "Success manager for large accounts"),
        ("Free trial on the website", "Marketplaces and content marketing"),
        ("Small and mid-sized teams", "Larger firms that need integration"),
        ("Salaries of product and support", "Hosting and customer acquisition"),
        ("Monthly and yearly subscriptions by tier", "Add-ons and paid onboarding"),
    ),
    _industry(
        "restaurant cafe café coffee bakery food kitchen catering bar brewery meal"
        " meals vegan pizza tea wine roastery bistro truck",
        ("Local growers and wholesalers", "Delivery services and event organisers"),
        ("Purchasing, cooking and serving", "Hygiene, quality and menu planning"),
        ("Kitchen, premises and licences", "Cooks and hosts with recipes of their own"),
        ("Fresh food with a story", "A place where people like to stay"),
        ("Regulars' table and loyalty card", "Direct answers to reviews"),
        ("The shop itself and passers-by", "Ordering online and delivery"),
        ("People who live or work nearby", "Groups and company events"),
        ("Ingredients and rent", "Staff and energy"),
        ("Sales over the counter", "Catering and gift vouchers"),
    ),
    _industry(
        "shop store retail ecommerce e-commerce fashion clothing clothes jewelry"
        " marketplace furniture boutique brand cosmetics toys shoes",
        ("Makers and wholesalers", "Parcel services and payment providers"),
        ("Choosing and buying the range", "Fulfilment, returns and photos"),
        ("Stock and warehouse", "Brand and customer list"),
        ("A range chosen with care", "Fast delivery and easy returns"),
        ("Advice by chat and in the shop", "Club with early access"),
        ("Online shop and marketplaces", "Social media and pop-up shops"),
        ("Style-conscious private buyers", "Buyers of gifts"),
        ("Purchase of goods", "Shipping, returns and advertising"),
        ("Margin on goods sold", "Own-label products and bundles"),
    ),
    _industry(
        "school education course courses learning tutoring tutor training university"
        " student students teacher teachers language coding academy kids children",
        ("Schools and employers", "Authors and expert teachers"),
        ("Making courses and teaching them", "Measuring what learners achieve"),
        ("Curriculum and learning platform", "Teachers and mentors"),
        ("Skills that can be shown after weeks", "Learning at one's own pace"),
        ("Mentor for each group", "Community of learners and graduates"),
        ("Website with a free first lesson", "School and company partnerships"),
        ("Learners who want to change jobs", "Parents and employers who pay"),
        ("Teachers' fees and course production", "Platform and marketing"),
        ("Course fees and subscriptions", "Licences for organisations"),
    ),
    _industry(
        "health healthcare clinic dental dentist dentists doctor doctors hospital"
        " medical fitness gym yoga wellness therapy patient patients nutrition pharmacy",
        ("Doctors, clinics and insurers", "Device makers and laboratories"),
        ("Care and coaching", "Data protection and medical approval"),
        ("Qualified staff", "Certified equipment and records"),
        ("Better health with less waiting", "Evidence that one can see"),
        ("Fixed contact person", "Reminders and progress reports"),
        ("Referrals by professionals", "App and booking online"),
        ("People with a concrete complaint", "Employers who invest in health"),
        ("Skilled staff", "Premises, equipment and compliance"),
        ("Fees for treatment or membership", "Contracts with insurers and firms"),
    ),
    _industry(
        "travel hotel tourism tour tours hostel trip trips booking camping airline"
        " event events wedding festival",
        ("Hosts, carriers and guides", "Tourist boards and booking portals"),
        ("Designing and selling offers", "Care for guests on the spot"),
        ("Contracts for rooms and seats", "Local knowledge and reviews"),
        ("A trip without worries", "Experiences that others don't offer"),
        ("One contact before, during, after", "Photos and stories shared by guests"),
        ("Own booking page", "Portals and travel blogs"),
        ("Couples and families", "Companies that book for teams"),
        ("Purchased services", "Commission, staff and insurance"),
        ("Package prices", "Commission and extras on site"),
    ),
    _industry(
        "finance fintech bank banking insurance payment payments invoice invoicing"
        " accounting tax investment investing loan loans credit crypto budget",
        ("Banks and licence holders", "Accountants and identity services"),
        ("Risk checks and compliance", "Keeping transactions safe and right"),
        ("Licences and security know-how", "Transaction data and models"),
        ("Money matters done in minutes", "Plain prices without surprises"),
        ("Trust by transparency", "Answer by a human within a day"),
        ("App and partner banks", "Advisers and comparison sites"),
        ("Freelancers and small firms", "Private customers who plan ahead"),
        ("Compliance, audits and security", "Payment fees and staff"),
        ("Fee per transaction", "Monthly plans and interest margin"),
    ),
    _industry(
        "farm farming farmers agriculture garden plants energy solar wind climate"
        " recycling sustainable green waste water forest battery",
        ("Growers, utilities and municipalities", "Research and certification bodies"),
        ("Building and maintaining the sites", "Measuring yield and savings"),
        ("Land, equipment and sensors", "Technical know-how and permits"),
        ("Lower costs and a smaller footprint", "Results that can be audited"),
        ("Long-term service contracts", "Yearly report on savings"),
        ("Direct sales and trade fairs", "Installers and cooperatives"),
        ("Farms and landowners", "Firms and towns with climate goals"),
        ("Equipment and installation", "Maintenance, permits and financing"),
        ("Sale and leasing of installations", "Yield shares and service fees"),
    ),
    _industry(
        "logistics delivery transport freight truck trucks courier bike bikes car cars"
        " rental mobility taxi fleet warehouse shipping drone",
        ("Fleet owners and workshops", "Shops and platforms that ship"),
        ("Planning routes and dispatching", "Maintenance and safety"),
        ("Vehicles and depots", "Dispatch software and drivers"),
        ("On time, and visible all the way", "Cheaper than a fleet of one's own"),
        ("Live tracking and a hotline", "Account manager for frequent senders"),
        ("Booking app and interfaces to shops", "Direct sales to firms"),
        ("Local shops and producers", "Private people who need it today"),
        ("Vehicles, energy and drivers", "Insurance and software"),
        ("Price per trip or day", "Monthly contracts"),
    ),
    _industry(
        "media music video podcast magazine news art artist artists game games gaming"
        " film photo photography design agency content book books creator creators",
        ("Creators and rights holders", "Platforms and sponsors"),
        ("Producing and editing", "Building a community"),
        ("Talent and rights", "Studio and archive"),
        ("Original work with a voice of its own", "Made for one community"),
        ("Direct exchange with fans", "Members decide on topics"),
        ("Streaming and social platforms", "Newsletter and live events"),
        ("Fans of the genre", "Brands that look for an audience"),
        ("Production and fees", "Licences and promotion"),
        ("Memberships and sales", "Sponsoring and licensing"),
    ),
)
