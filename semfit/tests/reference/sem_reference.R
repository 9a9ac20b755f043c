# Reference values of semfit: lavaan's answers, written beside this script. Run: Rscript semfit/tests/reference/sem_reference.R
# (from the root of the repository). Makes sem_<case>.json, sem_<data>.csv and sem_sessionInfo.txt; see the list CASES.
# Gauss-Newton, because it ends nearer to the solution (gradient 1e-9 rather than 1e-6); the same estimator and solution.
suppressMessages({library(lavaan); library(jsonlite)})
options(warn = 1)
OUT <- "semfit/tests/reference"

# ---- data: lavaan's own two, and one simulated in the shape of the Gebruiksmodel ------------------------------------
hs <- HolzingerSwineford1939
hs$female <- hs$sex - 1
pd <- PoliticalDemocracy

five_points <- function(x) findInterval(x, c(-1.5, -0.6, 0.3, 1.3)) + 1
items <- function(latent, names, loading = 0.75)
  sapply(names, function(name) five_points(loading * latent + sqrt(1 - loading^2) * rnorm(length(latent))))

simulate <- function(n, seed) {
  set.seed(seed)
  size <- sample(1:4, n, TRUE, c(.42, .31, .18, .09)); b2c <- rbinom(n, 1, .61); east <- rbinom(n, 1, .62)
  culture <- rnorm(n); environment <- .4 * culture + sqrt(1 - .4^2) * rnorm(n)
  motivation <- .3 * culture + .35 * environment + .1 * (size - 2) + .3 * (b2c - .6) + .75 * rnorm(n)
  use <- .5 * motivation + .15 * culture + .05 * (size - 2) + .1 * (b2c - .6) + .75 * rnorm(n)
  perception <- .6 * use + .75 * rnorm(n); reputation <- .5 * perception + .2 * use + .7 * rnorm(n)
  pairs <- matrix(rnorm(4 * n), n)
  score <- function(latent, names) {                    # mean of three 5-point items, as the dimension scores are
    d <- sapply(seq_along(names), function(k) rowMeans(sapply(1:3, function(i)
      five_points(.7 * latent + .35 * pairs[, k] + .6 * rnorm(n)))))
    colnames(d) <- names
    round(d, 6)
  }
  d <- data.frame(
    items(culture, paste0("cul_", c("openness", "innovation", "customer", "collaboration", "learning"))),
    items(environment, paste0("env_", c("customers", "competitors", "partners", "sector"))),
    score(motivation, paste0("mot_", c("pr", "sales", "webcare", "crisis"))),
    items(use, paste0("way_", c("spread", "listen", "respond", "initiate", "feedback", "innovation")), .7),
    use_frequency = round(rowMeans(sapply(1:9, function(i) five_points(.5 * use + .85 * rnorm(n)))), 6),
    score(perception, paste0("per_", c("pr", "sales", "webcare", "crisis"))),
    items(reputation, paste0("rep_", c("feeling", "admiration", "respect", "trust", "appeal")), .85),
    size, b2c, east)
  answers <- as.matrix(d)
  answers[matrix(runif(length(answers)) < .005, n)] <- NA
  as.data.frame(answers)
}
simulated <- simulate(256, 20121001)

write.csv(hs, file.path(OUT, "sem_hs.csv"), row.names = FALSE)
write.csv(pd, file.path(OUT, "sem_pd.csv"), row.names = FALSE)
write.csv(simulated, file.path(OUT, "sem_simulated.csv"), row.names = FALSE, na = "")

# ---- models ---------------------------------------------------------------------------------------------------------
hs_measurement <- "visual =~ x1 + x2 + x3
textual =~ x4 + x5 + x6
speed =~ x7 + x8 + x9"
pd_model <- "ind60 =~ x1 + x2 + x3
dem60 =~ y1 + y2 + y3 + y4
dem65 =~ y5 + y6 + y7 + y8
dem60 ~ a*ind60
dem65 ~ c*ind60 + b*dem60
y1 ~~ y5
y2 ~~ y4 + y6
y3 ~~ y7
y4 ~~ y8
y6 ~~ y8"
CASES <- list(
  hs = list(hs, hs_measurement),
  pd = list(pd, paste(pd_model, "indirect := a*b
total := c + a*b
share := indirect/total", sep = "\n")),
  # equal labels are equal parameters
  pd_equal = list(pd, "ind60 =~ x1 + x2 + x3
dem60 =~ y1 + l2*y2 + l3*y3 + l4*y4
dem65 =~ y5 + l2*y6 + l3*y7 + l4*y8
dem60 ~ ind60
dem65 ~ ind60 + dem60
y1 ~~ r*y5
y3 ~~ r*y7"),
  # observed covariates, all endogenous latent variables outcomes (their residuals covary by default)
  hs_covariates = list(hs, paste(hs_measurement, "visual + textual + speed ~ ageyr + female", sep = "\n")),
  # latent and observed predictors side by side
  hs_mixed = list(hs, paste(hs_measurement, "speed ~ a*visual + textual + ageyr + female", sep = "\n")),
  # freed marker, fixed values, orthogonal pair, one-indicator latent variable, observed outcome with two predictors
  hs_fixed = list(hs, "visual =~ NA*x1 + x2 + x3
textual =~ 1*x4 + 1.1*x5 + x6
quick =~ x7
visual ~~ 1*visual
visual ~~ 0*textual
quick ~ visual + textual
x9 ~ quick + x8"),
  # second-order factor over latent variables
  hs_second_order = list(hs, paste(hs_measurement, "g =~ visual + textual + speed", sep = "\n")),
  # observed variables only: saturated regressions with covariates, and a path model with degrees of freedom
  hs_saturated = list(hs, "x1 ~ ageyr + female\nx4 ~ ageyr + female"),
  hs_path = list(hs, "x4 ~ x1 + ageyr\nx7 ~ x4 + female\nx9 ~ x4\nx1 ~ ageyr"),
  # a covariate whose variance is written down is random in lavaan; an indicator that is also a predictor; mixed residuals
  hs_random = list(hs, paste(hs_measurement, "speed ~ visual + ageyr + female\nageyr ~~ ageyr + female", sep = "\n")),
  hs_indicator_predicts = list(hs, "visual =~ x1 + x2 + x3
textual =~ x4 + x5 + x6
x7 ~ x3 + textual
x8 ~ x7
x6 ~~ x7"),
  # fixed values so wrong that the model fits worse than independence: cfi stops at 0, tli and gfi do not
  hs_worse = list(hs, "f =~ x1 + 1*x4 + -1*x7 + x2\nf ~~ 1.2*f"),
  # an improper solution: residual variances below zero
  hs_heywood = list(hs[hs$school == "Pasteur", ], "visual =~ x1 + x2 + x3 + x9
speed =~ x7 + x8
visual ~~ speed"),
  gebruiksmodel = list(simulated, paste(readLines("semfit/tests/reference/models/gebruiksmodel.lav"), collapse = "\n"))
)
MEASURES <- c(npar = "npar", n = "ntotal", chisq = "chisq", df = "df", pvalue = "pvalue",
  baseline_chisq = "baseline.chisq", baseline_df = "baseline.df", cfi = "cfi", tli = "tli", rmsea = "rmsea",
  rmsea_ci_low = "rmsea.ci.lower", rmsea_ci_high = "rmsea.ci.upper", rmsea_pvalue = "rmsea.pvalue", srmr = "srmr",
  logl = "logl", logl_unrestricted = "unrestricted.logl", aic = "aic", bic = "bic", gfi = "gfi")

# ---- write ----------------------------------------------------------------------------------------------------------
lower_triangle <- function(m) {
  at <- which(lower.tri(m), arr.ind = TRUE)
  data.frame(a = rownames(m)[at[, 1]], b = colnames(m)[at[, 2]], residual = m[at])
}
reference <- function(data, text) {
  fit <- suppressWarnings(sem(text, data, optim.method = "GN", optim.gn.tol.x = 1e-10))
  if (!lavInspect(fit, "converged")) fit <- sem(text, data)   # the improper solution: lavaan's Gauss-Newton gives up
  stopifnot(lavInspect(fit, "converged"))
  measures <- fitMeasures(fit)
  measures <- setNames(as.numeric(measures[MEASURES]), names(MEASURES))
  covariance <- unclass(vcov(fit))
  list(
    model = text, n_used = lavInspect(fit, "nobs"), gradient = max(abs(lavInspect(fit, "gradient"))),
    estimates = as.data.frame(parameterEstimates(fit, standardized = TRUE)),
    standardized = as.data.frame(standardizedSolution(fit)),
    measures = as.list(measures), r2 = as.list(lavInspect(fit, "r2")),
    residuals = lower_triangle(unclass(residuals(fit, type = "cor.bentler")$cov)),
    vcov = list(names = rownames(covariance), values = matrix(covariance, nrow(covariance))))
}
for (case in names(CASES)) {
  value <- reference(CASES[[case]][[1]], CASES[[case]][[2]])
  cat(case, value$gradient, "\n")
  write(toJSON(value, digits = NA, na = "null", auto_unbox = TRUE), file.path(OUT, paste0("sem_", case, ".json")))
}
writeLines(capture.output(sessionInfo()), file.path(OUT, "sem_sessionInfo.txt"))
